//! The deliverer over both databases, with real requests to a real receiver.
#![allow(clippy::unwrap_used, reason = "a failed setup fails the test")]

mod bed;

use std::time::Duration;

use bed::{
    ASYMMETRIC, Bed, LIMIT, ids, other_secret, secret, settle, settle_to, settle_until, start_all,
};
use paywatch_domain::UnixMillis;
use paywatch_store::EndpointSecret;
use paywatch_store::deliveries::DeliveryState;
use paywatch_testkit::{Behaviour, Delivery as Sent, Verifier};
use paywatch_webhook::{Schedule, Settings};

/// Stamps test bodies of the form `async fn(&Bed)` for both databases.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod lite {
            $(#[tokio::test]
            async fn $name() {
                super::bed::run(false, super::$name).await;
            })+
        }

        mod pg {
            $(#[tokio::test]
            async fn $name() {
                super::bed::run(true, super::$name).await;
            })+
        }
    };
}

on_both!(
    events_of_one_invoice_arrive_in_order,
    invoices_do_not_wait_for_each_other,
    three_failures_let_the_next_event_pass,
    an_exhausted_delivery_is_visible_and_releases_the_next,
    gone_disables_the_endpoint_and_tells_the_others,
    five_days_of_failures_disable_the_endpoint,
    a_success_forgives_earlier_failures,
    retry_after_moves_the_next_attempt,
    a_hanging_endpoint_does_not_starve_another,
    what_was_under_way_at_a_crash_is_sent_again_at_once,
    a_claim_runs_out_when_its_process_is_gone,
    a_stop_records_what_finishes,
    every_attempt_has_the_same_bytes_and_verifies,
    two_secrets_sign_during_a_rotation,
    an_asymmetric_signature_comes_beside_the_other,
    what_cannot_be_sent_is_a_visible_failure,
    two_deliverers_never_send_the_same_thing,
    events_said_while_others_are_sent_keep_their_order,
);

/// The binary moves the deliverer between threads.
#[tokio::test]
async fn a_step_can_run_on_any_thread() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    bed::run(false, async |bed: &Bed| {
        let mut deliverer = bed.deliverer(Settings::default());
        is_send(deliverer.step(bed.now)).await.unwrap();
        is_send(deliverer.stop()).await.unwrap();
        drop(is_send(deliverer.ready()));
    })
    .await;
}

fn short(waits_ms: &[u64]) -> Settings {
    Settings {
        schedule: Schedule::new(waits_ms.to_vec()).unwrap(),
        ..Settings::default()
    }
}

async fn events_of_one_invoice_arrive_in_order(bed: &Bed) {
    bed.endpoint(1, "/a").await;
    let invoice = bed.invoice(1).await;
    for number in 1..=5 {
        let version = u64::try_from(number).unwrap();
        bed.say(number, Some((invoice, version)), None, bed.now)
            .await;
    }
    bed.receiver.set(Behaviour::Slow(Duration::from_millis(30)));
    let mut deliverer = bed.deliverer(Settings::default());
    start_all(&mut deliverer, bed.now).await;
    assert_eq!(
        deliverer.sends_under_way(),
        1,
        "the others wait for the first"
    );
    settle(&mut deliverer, bed.now).await;
    assert_eq!(bed.arrived("/a"), ids(&[1, 2, 3, 4, 5]));
    for delivery in bed.deliveries().await {
        assert_eq!(
            (delivery.state, delivery.attempt_count),
            (DeliveryState::Delivered, 1)
        );
        let attempts = bed.attempts(&delivery).await;
        assert_eq!(attempts.len(), 1);
        assert_eq!(
            (attempts[0].status_code, attempts[0].error.clone()),
            (Some(200), None)
        );
        assert!(!attempts[0].answer.is_empty() && attempts[0].duration_ms >= 30);
    }
}

async fn invoices_do_not_wait_for_each_other(bed: &Bed) {
    bed.endpoint(1, "/a").await;
    let (slow, other) = (bed.invoice(1).await, bed.invoice(2).await);
    bed.receiver.set(Behaviour::Script(vec![Behaviour::Hang]));
    let mut deliverer = bed.deliverer(Settings::default());
    bed.say(1, Some((slow, 1)), None, bed.now).await;
    settle_until(&mut deliverer, bed.now, || bed.arrived("/a").len() == 1).await;
    bed.say(2, Some((slow, 2)), None, bed.now).await;
    for number in 3..=6 {
        bed.say(
            number,
            Some((other, u64::try_from(number).unwrap() - 2)),
            None,
            bed.now,
        )
        .await;
    }
    settle_until(&mut deliverer, bed.now, || bed.arrived("/a").len() == 5).await;
    settle_to(&mut deliverer, bed.now, 1).await;
    assert_eq!(
        bed.arrived("/a"),
        ids(&[1, 3, 4, 5, 6]),
        "the second waits for the first"
    );
}

async fn three_failures_let_the_next_event_pass(bed: &Bed) {
    bed.endpoint(1, "/a").await;
    let invoice = bed.invoice(1).await;
    bed.say(1, Some((invoice, 1)), None, bed.now).await;
    bed.say(2, Some((invoice, 2)), None, bed.now).await;
    bed.receiver.set(Behaviour::Script(vec![
        Behaviour::status(500),
        Behaviour::Redirect(bed.receiver.url("/elsewhere")),
        Behaviour::status(404),
    ]));
    let mut deliverer = bed.deliverer(Settings::default());
    let mut now = bed.now;
    settle(&mut deliverer, now).await;
    assert_eq!(bed.arrived("/a"), ids(&[1]));
    let too_early = now.plus_ms(3_999);
    settle(&mut deliverer, too_early).await;
    assert_eq!(
        bed.arrived("/a"),
        ids(&[1]),
        "5 s with jitter are at least 4 s"
    );
    now = now.plus_s(6);
    settle(&mut deliverer, now).await;
    assert_eq!(
        bed.arrived("/a"),
        ids(&[1, 1]),
        "two failures are not enough"
    );
    now = now.plus_s(360);
    settle(&mut deliverer, now).await;
    assert_eq!(
        bed.arrived("/a"),
        ids(&[1, 1, 1, 2]),
        "the third lets the next one pass"
    );
    now = now.plus_s(2_160);
    settle(&mut deliverer, now).await;
    assert_eq!(bed.arrived("/a"), ids(&[1, 1, 1, 2, 1]));
    assert!(
        bed.receiver.requests_to("/elsewhere").is_empty(),
        "redirects are not followed"
    );
    let first = &bed.deliveries_of(1).await[0];
    let codes: Vec<_> = bed
        .attempts(first)
        .await
        .iter()
        .map(|attempt| attempt.status_code)
        .collect();
    assert_eq!(codes, [Some(500), Some(302), Some(404), Some(200)]);
    assert_eq!(first.state, DeliveryState::Delivered);
}

async fn an_exhausted_delivery_is_visible_and_releases_the_next(bed: &Bed) {
    bed.endpoint(1, "/a").await;
    let invoice = bed.invoice(1).await;
    bed.say(1, Some((invoice, 1)), None, bed.now).await;
    bed.say(2, Some((invoice, 2)), None, bed.now).await;
    bed.receiver.set(Behaviour::Script(vec![
        Behaviour::status(500),
        Behaviour::status(500),
    ]));
    let mut deliverer = bed.deliverer(short(&[0, 1_000]));
    settle(&mut deliverer, bed.now).await;
    settle(&mut deliverer, bed.now.plus_ms(1_200)).await;
    assert_eq!(bed.arrived("/a"), ids(&[1, 1, 2]));
    let first = &bed.deliveries_of(1).await[0];
    assert_eq!(
        (first.state, first.attempt_count),
        (DeliveryState::Exhausted, 2)
    );
    assert_eq!(
        bed.deliveries_of(2).await[0].state,
        DeliveryState::Delivered
    );
    settle(&mut deliverer, bed.now.plus_s(100_000)).await;
    assert_eq!(bed.arrived("/a").len(), 3, "exhausted is the end");
}

async fn gone_disables_the_endpoint_and_tells_the_others(bed: &Bed) {
    bed.endpoint(1, "/gone").await;
    bed.endpoint(2, "/other").await;
    let invoice = bed.invoice(1).await;
    bed.say(1, Some((invoice, 1)), None, bed.now).await;
    bed.say(2, Some((invoice, 2)), None, bed.now).await;
    bed.receiver.set_for("/gone", Behaviour::status(410));
    let mut deliverer = bed.deliverer(Settings::default());
    settle(&mut deliverer, bed.now).await;
    settle(&mut deliverer, bed.now.plus_s(7_200)).await;
    assert_eq!(bed.arrived("/gone"), ids(&[1]), "not one attempt more");
    let gone = bed.stored_endpoint(1).await;
    assert!(!gone.is_enabled);
    assert_eq!(
        gone.disabled_reason.as_deref(),
        Some("the receiver answered 410 Gone")
    );
    assert!(bed.stored_endpoint(2).await.is_enabled);

    let others = bed.receiver.requests_to("/other");
    let told: Vec<_> = others
        .iter()
        .map(|request| request.json().unwrap())
        .collect();
    let about: Vec<_> = told
        .iter()
        .filter(|json| json["type"] == "endpoint.disabled")
        .collect();
    let [event] = about.as_slice() else {
        panic!("one event: {told:?}")
    };
    assert_eq!(event["data"]["endpoint"]["id"], gone.id.to_string());
    assert_eq!(event["data"]["endpoint"]["state"], "disabled");
    assert_eq!(told.len(), 3);

    // What it did not get is not lost: it stays visible, with the attempt that was made.
    let to_gone = |state| {
        let id = gone.id;
        move |one: &paywatch_store::deliveries::Delivery| {
            one.endpoint_id == id && one.state == state
        }
    };
    let all = bed.deliveries().await;
    let dropped: Vec<_> = all
        .iter()
        .filter(|one| to_gone(DeliveryState::Dropped)(one))
        .collect();
    assert_eq!(dropped.len(), 2);
    assert_eq!(bed.attempts(dropped[0]).await[0].status_code, Some(410));
    bed.say(3, Some((invoice, 3)), None, bed.now).await;
    assert_eq!(
        bed.deliveries_of(3).await.len(),
        1,
        "only the other endpoint"
    );
}

async fn five_days_of_failures_disable_the_endpoint(bed: &Bed) {
    bed.endpoint(1, "/a").await;
    bed.endpoint(2, "/other").await;
    bed.receiver.set_for("/a", Behaviour::status(500));
    bed.say(1, None, None, bed.now).await;
    let mut deliverer = bed.deliverer(Settings::default());
    let five_days_ms = 5 * 24 * 3_600_000;
    settle(&mut deliverer, bed.now).await;
    settle(&mut deliverer, bed.now.plus_ms(five_days_ms - 60_000)).await;
    assert!(bed.stored_endpoint(1).await.is_enabled, "not five days yet");
    settle(&mut deliverer, bed.now.plus_ms(five_days_ms + 3_600_000)).await;
    let failing = bed.stored_endpoint(1).await;
    assert!(!failing.is_enabled);
    assert_eq!(
        failing.disabled_reason.as_deref(),
        Some("every attempt failed for too long")
    );
    let others = bed.receiver.requests_to("/other");
    let kinds: Vec<_> = others
        .iter()
        .map(|one| one.json().unwrap()["type"].clone())
        .collect();
    assert!(kinds.contains(&"endpoint.disabled".into()), "{kinds:?}");
}

async fn a_success_forgives_earlier_failures(bed: &Bed) {
    bed.endpoint(1, "/a").await;
    let fail = || Behaviour::status(500);
    bed.receiver
        .set(Behaviour::Script(vec![fail(), Behaviour::Accept, fail()]));
    let mut deliverer = bed.deliverer(Settings::default());
    bed.say(1, None, None, bed.now).await;
    settle(&mut deliverer, bed.now).await;
    assert!(bed.stored_endpoint(1).await.failing_since.is_some());
    settle(&mut deliverer, bed.now.plus_s(6)).await;
    assert_eq!(bed.stored_endpoint(1).await.failing_since, None);
    let later = bed.now.plus_s(6 * 24 * 3_600);
    bed.say(2, None, None, later).await;
    settle(&mut deliverer, later).await;
    let endpoint = bed.stored_endpoint(1).await;
    assert!(endpoint.is_enabled && endpoint.failing_since >= Some(later));
}

async fn retry_after_moves_the_next_attempt(bed: &Bed) {
    bed.endpoint(1, "/a").await;
    let asked = |value: &str| Behaviour::Status(503, vec![("retry-after".into(), value.into())]);
    bed.receiver
        .set(Behaviour::Script(vec![asked("8"), asked("864000")]));
    bed.say(1, None, None, bed.now).await;
    let mut deliverer = bed.deliverer(Settings::default());
    let wake_at = settle(&mut deliverer, bed.now).await;
    assert_eq!(
        wake_at,
        bed.now.plus_ms(250),
        "new events are looked for meanwhile"
    );
    let next = bed.now.plus_s(8);
    assert_eq!(bed.deliveries().await[0].due_at, Some(next));
    let just_before = next.plus_ms(-100);
    assert_eq!(
        settle(&mut deliverer, just_before).await,
        next,
        "woken exactly then"
    );
    settle(&mut deliverer, next).await;
    assert_eq!(
        bed.deliveries().await[0].due_at,
        Some(next.plus_s(600)),
        "at most twice 5 min"
    );
    assert_eq!(bed.arrived("/a").len(), 2);
}

async fn a_hanging_endpoint_does_not_starve_another(bed: &Bed) {
    const EVENTS: u128 = 45;
    let hanging = bed.endpoint(1, "/hang").await;
    let other = bed.endpoint(2, "/other").await;
    bed.receiver.set_for("/hang", Behaviour::Hang);
    for number in 0..EVENTS {
        bed.say(100 + number, None, Some(hanging), bed.now).await;
        bed.say(200 + number, None, Some(other), bed.now.plus_ms(1))
            .await;
    }
    let mut deliverer = bed.deliverer(Settings::default());
    let now = bed.now.plus_ms(1);
    settle_until(&mut deliverer, now, || bed.arrived("/other").len() == 45).await;
    let cap = usize::try_from(paywatch_domain::limits::ENDPOINT_SENDS_MAX).unwrap();
    settle_until(&mut deliverer, now, || bed.arrived("/hang").len() == cap).await;
    // All answers of the other one are recorded; no more than these are sent at a time.
    settle_to(&mut deliverer, now, cap).await;
    assert_eq!(bed.arrived("/hang").len(), cap);
    drop(deliverer);

    // Another try of the hanging one ends by the timeout and frees its place.
    let mut deliverer = bed.deliverer(Settings {
        timeout: Duration::from_millis(200),
        ..Settings::default()
    });
    deliverer.release_claims().await.unwrap();
    settle(&mut deliverer, now).await;
    let all = bed.deliveries().await;
    let (mut delivered, mut waiting) = (0, 0);
    for delivery in &all {
        match (delivery.state, delivery.attempt_count) {
            (DeliveryState::Delivered, 1) => delivered += 1,
            (DeliveryState::Due, 1) => waiting += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((delivered, waiting), (45, 45));
    let failed = all
        .iter()
        .find(|one| one.state == DeliveryState::Due)
        .unwrap();
    let attempts = bed.attempts(failed).await;
    assert_eq!(attempts[0].error.as_deref(), Some("no answer in time"));
}

async fn what_was_under_way_at_a_crash_is_sent_again_at_once(bed: &Bed) {
    bed.endpoint(1, "/a").await;
    bed.receiver.set(Behaviour::Script(vec![Behaviour::Hang]));
    bed.say(1, None, None, bed.now).await;
    let mut deliverer = bed.deliverer(Settings::default());
    settle_until(&mut deliverer, bed.now, || bed.arrived("/a").len() == 1).await;
    drop(deliverer);

    let mut next = bed.deliverer(Settings::default());
    settle(&mut next, bed.now).await;
    assert_eq!(
        bed.arrived("/a").len(),
        1,
        "claimed by the one that is gone"
    );
    assert_eq!(next.release_claims().await.unwrap(), 1);
    settle(&mut next, bed.now).await;
    let requests = bed.receiver.requests();
    assert_eq!(bed.arrived("/a"), ids(&[1, 1]));
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!(bed.deliveries().await[0].state, DeliveryState::Delivered);
}

async fn a_claim_runs_out_when_its_process_is_gone(bed: &Bed) {
    bed.endpoint(1, "/a").await;
    bed.receiver.set(Behaviour::Script(vec![Behaviour::Hang]));
    bed.say(1, None, None, bed.now).await;
    let settings = Settings {
        timeout: Duration::from_secs(20),
        ..Settings::default()
    };
    let mut deliverer = bed.deliverer(settings.clone());
    settle_until(&mut deliverer, bed.now, || bed.arrived("/a").len() == 1).await;
    // It is still there: even after the lease it starts no second send of the same delivery.
    let after_lease = bed.now.plus_s(51);
    start_all(&mut deliverer, after_lease).await;
    assert_eq!(deliverer.sends_under_way(), 1);
    drop(deliverer);

    let mut next = bed.deliverer(settings);
    settle(&mut next, after_lease.plus_s(49)).await;
    assert_eq!(bed.arrived("/a").len(), 1);
    settle(&mut next, after_lease.plus_s(51)).await;
    assert_eq!(bed.arrived("/a"), ids(&[1, 1]));
    assert_eq!(bed.deliveries().await[0].state, DeliveryState::Delivered);
}

async fn a_stop_records_what_finishes(bed: &Bed) {
    let quick = bed.endpoint(1, "/quick").await;
    let hanging = bed.endpoint(2, "/hang").await;
    bed.receiver
        .set_for("/quick", Behaviour::Slow(Duration::from_millis(300)));
    bed.receiver.set_for("/hang", Behaviour::Hang);
    bed.say(1, None, Some(quick), bed.now).await;
    bed.say(2, None, Some(hanging), bed.now).await;
    let mut deliverer = bed.deliverer(Settings::default());
    start_all(&mut deliverer, bed.now).await;
    assert_eq!(deliverer.sends_under_way(), 2);
    deliverer.stop().await.unwrap();
    assert_eq!(
        bed.deliveries_of(1).await[0].state,
        DeliveryState::Delivered
    );
    let hanging = &bed.deliveries_of(2).await[0];
    assert_eq!(
        (hanging.state, hanging.attempt_count),
        (DeliveryState::Due, 0)
    );
}

async fn every_attempt_has_the_same_bytes_and_verifies(bed: &Bed) {
    bed.endpoint(1, "/a").await;
    let invoice = bed.invoice(1).await;
    bed.receiver.set(Behaviour::Script(vec![
        Behaviour::status(500),
        Behaviour::status(429),
    ]));
    bed.say(1, Some((invoice, 1)), None, bed.now).await;
    let mut deliverer = bed.deliverer(short(&[0, 1_000, 1_000]));
    for after_s in [0, 2, 4] {
        settle(&mut deliverer, bed.now.plus_s(after_s)).await;
    }
    let requests = bed.receiver.wait_for(3, LIMIT).await.unwrap();
    assert_eq!(bed.arrived("/a"), ids(&[1, 1, 1]));
    let second = |at: UnixMillis| (at.0 / 1000).to_string();
    for (request, after_s) in requests.iter().zip([0, 2, 4]) {
        assert_eq!(request.method, "POST");
        assert_eq!(request.body, requests[0].body);
        assert_eq!(
            request.header("webhook-timestamp"),
            second(bed.now.plus_s(after_s))
        );
        assert_eq!(request.header("content-type"), "application/json");
    }
    assert_ne!(
        requests[0].header("webhook-signature"),
        requests[1].header("webhook-signature"),
        "each attempt is signed with its own time"
    );
    let sent: Vec<Sent> = requests.iter().map(Sent::from).collect();
    for verifier in Verifier::ALL {
        assert_eq!(
            verifier
                .verify(&sent, &secret().reveal_shared())
                .await
                .unwrap(),
            3
        );
        let wrong = other_secret().reveal_shared();
        assert!(
            verifier.verify(&sent, &wrong).await.is_err(),
            "{verifier:?} does check"
        );
    }
}

/// Goal: receivers can change to a new secret at any time of the overlap, and not trust the old one for ever.
async fn two_secrets_sign_during_a_rotation(bed: &Bed) {
    let endpoint = bed.endpoint(1, "/a").await;
    let (old, new) = (secret(), other_secret());
    bed.rotate(1, endpoint, &new, bed.now.plus_s(60)).await;
    let mut deliverer = bed.deliverer(Settings::default());
    for (number, after_s) in [(1, 59), (2, 60)] {
        let now = bed.now.plus_s(after_s);
        bed.say(number, None, Some(endpoint), now).await;
        settle(&mut deliverer, now).await;
    }
    let requests = bed.receiver.wait_for(2, LIMIT).await.unwrap();
    let sent: Vec<Sent> = requests.iter().map(Sent::from).collect();
    for verifier in Verifier::ALL {
        let accepts = async |sent: &[Sent], secret: &EndpointSecret| {
            verifier.verify(sent, &secret.reveal_shared()).await.is_ok()
        };
        assert!(
            accepts(&sent, &new).await,
            "{verifier:?}: the new one always"
        );
        assert!(
            accepts(&sent[..1], &old).await,
            "{verifier:?}: the old one for its time"
        );
        assert!(
            !accepts(&sent[1..], &old).await,
            "{verifier:?}: and no longer"
        );
    }
}

/// Goal: an endpoint that asked for it is signed for with a key of its own too, before, during and after a rotation;
/// the libraries, which do not know that form, still find theirs. Method: Node's own ed25519.
async fn an_asymmetric_signature_comes_beside_the_other(bed: &Bed) {
    let endpoint = bed.endpoint(ASYMMETRIC, "/a").await;
    let plain = bed.endpoint(2, "/b").await;
    let (old, new) = (secret(), other_secret());
    let mut deliverer = bed.deliverer(Settings::default());
    bed.say(1, None, Some(endpoint), bed.now).await;
    settle(&mut deliverer, bed.now).await;
    bed.rotate(ASYMMETRIC, endpoint, &new, bed.now.plus_s(60))
        .await;
    for (number, to, after_s) in [(2, endpoint, 59), (3, endpoint, 60), (4, plain, 61)] {
        let now = bed.now.plus_s(after_s);
        bed.say(number, None, Some(to), now).await;
        settle(&mut deliverer, now).await;
    }
    let requests = bed.receiver.wait_for(4, LIMIT).await.unwrap();
    let sent: Vec<Sent> = requests.iter().map(Sent::from).collect();
    let accepts = async |at: usize, secret: &EndpointSecret| {
        let key = secret.public_key().unwrap();
        let checked = Verifier::Asymmetric.verify(&sent[at..=at], &key).await;
        let shared = secret.reveal_shared();
        for verifier in Verifier::ALL {
            let known = verifier.verify(&sent[at..=at], &shared).await;
            assert_eq!(known.is_ok(), checked.is_ok(), "{verifier:?} at {at}");
        }
        checked.is_ok()
    };
    // The attempt, and whether the old and the new key signed it.
    for (at, by_old, by_new) in [(0, true, false), (1, true, true), (2, false, true)] {
        assert_eq!(accepts(at, &old).await, by_old, "{at}");
        assert_eq!(accepts(at, &new).await, by_new, "{at}");
    }
    let plain = requests[3].header("webhook-signature");
    assert!(!plain.contains("v1a"), "nobody asked for it: {plain}");
}

async fn what_cannot_be_sent_is_a_visible_failure(bed: &Bed) {
    let unreadable = bed.endpoint_sealed_for(1, "/a", 99).await;
    bed.say(1, None, Some(unreadable), bed.now).await;
    settle(&mut bed.deliverer(Settings::default()), bed.now).await;
    let blocked = bed.endpoint(2, "/b").await;
    bed.say(2, None, Some(blocked), bed.now).await;
    settle(
        &mut bed.deliverer_to(Settings::default(), "10.0.0.0/8"),
        bed.now,
    )
    .await;
    assert!(bed.receiver.requests().is_empty());
    // Event and what its attempt says.
    let table = [
        (1, "cannot be decrypted"),
        (2, "webhooks are not sent to 127.0.0.1"),
    ];
    for (event, text) in table {
        let delivery = &bed.deliveries_of(event).await[0];
        assert_eq!(
            (delivery.state, delivery.attempt_count),
            (DeliveryState::Due, 1)
        );
        let attempts = bed.attempts(delivery).await;
        let error = attempts[0].error.clone().unwrap();
        assert!(error.contains(text), "{error}");
        assert!(!error.contains(&secret().reveal_shared()));
    }
}

async fn two_deliverers_never_send_the_same_thing(bed: &Bed) {
    for endpoint in 1..=4 {
        bed.endpoint(endpoint, &format!("/{endpoint}")).await;
    }
    for number in 1..=20 {
        bed.say(number, None, None, bed.now).await;
    }
    let (mut one, mut two) = (
        bed.deliverer(Settings::default()),
        bed.deliverer(Settings::default()),
    );
    futures_util::future::join(settle(&mut one, bed.now), settle(&mut two, bed.now)).await;
    settle(&mut one, bed.now).await;
    for endpoint in 1..=4 {
        let mut arrived = bed.arrived(&format!("/{endpoint}"));
        arrived.sort();
        let mut expected = ids(&(1..=20).collect::<Vec<_>>());
        expected.sort();
        assert_eq!(arrived, expected, "each event once");
    }
    let all = bed.deliveries().await;
    assert_eq!(all.len(), 80);
    assert!(
        all.iter()
            .all(|delivery| delivery.state == DeliveryState::Delivered)
    );
}

async fn events_said_while_others_are_sent_keep_their_order(bed: &Bed) {
    const VERSIONS: u64 = 25;
    bed.endpoint(1, "/a").await;
    let invoices = [
        bed.invoice(1).await,
        bed.invoice(2).await,
        bed.invoice(3).await,
    ];
    // Event numbers are the invoice's place times 100, plus the version.
    let all = 100..=300_u128;
    let say = async {
        for version in 1..=VERSIONS {
            for (invoice, hundreds) in invoices.iter().zip(all.clone().step_by(100)) {
                let number = hundreds + u128::from(version);
                bed.say(number, Some((*invoice, version)), None, bed.now)
                    .await;
            }
        }
    };
    let arrived = || bed.arrived("/a").len() == 3 * usize::try_from(VERSIONS).unwrap();
    let (mut one, mut two) = (
        bed.deliverer(Settings::default()),
        bed.deliverer(Settings::default()),
    );
    let send = futures_util::future::join(
        settle_until(&mut one, bed.now, arrived),
        settle_until(&mut two, bed.now, arrived),
    );
    futures_util::future::join(say, send).await;
    let arrived = bed.arrived("/a");
    for hundreds in all.step_by(100) {
        let expected: Vec<u128> = (1..=VERSIONS)
            .map(|version| hundreds + u128::from(version))
            .collect();
        let expected = ids(&expected);
        let of_invoice: Vec<_> = arrived.iter().filter(|id| expected.contains(id)).collect();
        assert_eq!(of_invoice, expected.iter().collect::<Vec<_>>());
    }
}
