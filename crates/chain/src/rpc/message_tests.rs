//! What nodes answer, well and badly.

use super::*;

/// What a batch of three calls, of the ids 7 to 9, makes of an answer.
fn batch(answer: &str) -> Result<Vec<Result<String, i64>>, CallError> {
    let calls = ["first", "second", "third"].map(|method| (method, Vec::new()));
    let reply: BatchReply = serde_json::from_str(answer).unwrap();
    let results = reply.results(7, &calls)?;
    let simple = |result: Result<Box<RawValue>, NodeError>| match result {
        Ok(raw) => Ok(raw.get().to_owned()),
        Err(error) => Err(error.code),
    };
    Ok(results.into_iter().map(simple).collect())
}

#[test]
fn answers_of_a_batch_stand_in_the_order_of_its_calls() {
    for answer in [
        r#"[{"id":7,"result":1},{"id":8,"result":null},{"id":9,"error":{"code":-5,"message":"no"}}]"#,
        r#" [{"id":9,"result":null,"error":{"code":-5,"message":"no"}},{"id":7,"result":1,"error":null},
            {"jsonrpc":"2.0","id":8,"result":null}] "#,
    ] {
        let expected = [Ok("1".to_owned()), Ok("null".to_owned()), Err(-5)];
        assert_eq!(batch(answer).unwrap(), expected, "{answer}");
    }
}

#[test]
fn a_batch_that_is_not_whole_is_an_error() {
    for (answer, words) in [
        ("[]", "0 answers to 3 calls"),
        (
            r#"[{"id":7,"result":1},{"id":8,"result":2}]"#,
            "2 answers to 3 calls",
        ),
        (
            r#"[{"id":7,"result":1},{"id":8,"result":2},{"id":8,"result":3}]"#,
            "third: no answer",
        ),
        (
            r#"[{"id":7,"result":1},{"id":8,"result":2},{"id":10,"result":3}]"#,
            "third: no answer",
        ),
        (
            r#"[{"id":7,"result":1},{"id":8,"result":2},{"result":3}]"#,
            "first: no answer",
        ),
        (
            r#"[{"id":7,"result":1},{"id":8},{"id":9,"result":3}]"#,
            "second: neither result nor error",
        ),
        (r#"{"id":7,"result":1}"#, "one answer to a batch"),
        ("1", "a batch"),
    ] {
        match batch(answer) {
            Err(CallError::Malformed(detail)) => assert!(detail.contains(words), "{detail}"),
            other => panic!("{answer}: {other:?}"),
        }
    }
}

#[test]
fn codes_that_mean_the_same_everywhere_are_understood() {
    let limit = r#"[{"id":7,"result":1},{"id":8,"error":{"code":-32005,"message":"limit\nexceeded"}},{"id":9,"result":1}]"#;
    let busy = CallError::Busy {
        detail: "second: limitexceeded".to_owned(),
        retry_after: None,
    };
    assert_eq!(batch(limit).unwrap_err(), busy);
    // The same number, of something else.
    let behind = r#"{"id":7,"error":{"code":-32005,"message":"Node is behind by 42 slots"}}"#;
    let reply: Reply<Box<RawValue>> = serde_json::from_str(behind).unwrap();
    let error = reply.result(7, "getHealth").unwrap_err();
    assert!(matches!(error, CallError::Node(error) if error.code == -32005));
    let refused =
        r#"{"id":null,"error":{"code":-32600,"message":"Only method calls are supported"}}"#;
    assert!(matches!(batch(refused), Err(CallError::Node(error)) if error.code == -32600));
    let missing = r#"{"id":7,"error":{"code":-32601,"message":"no"}}"#;
    let reply: Reply<Box<RawValue>> = serde_json::from_str(missing).unwrap();
    let error = reply.result(7, "debug_trace").unwrap_err();
    let expected = CallError::Refused("it has no method debug_trace".to_owned());
    assert_eq!(error, expected);
}

#[test]
fn an_answer_belongs_to_its_request() {
    let result = |answer: &str| {
        let reply: Reply<Box<RawValue>> = serde_json::from_str(answer).unwrap();
        reply.result(7, "method").map(|raw| raw.get().to_owned())
    };
    assert_eq!(
        result(r#"{"id":7,"result":[1, 2]}"#),
        Ok("[1, 2]".to_owned())
    );
    assert_eq!(result(r#"{"id":7,"result":null}"#), Ok("null".to_owned()));
    for answer in [
        r#"{"id":8,"result":1}"#,
        r#"{"id":null,"result":1}"#,
        r#"{"result":1}"#,
        r#"{"id":7}"#,
        r#"{"id":7,"error":null}"#,
    ] {
        let error = result(answer).unwrap_err();
        assert!(matches!(error, CallError::Malformed(_)), "{error:?}");
    }
}
