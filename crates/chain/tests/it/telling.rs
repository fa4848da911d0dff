//! What a pool writes into the log and into the metrics.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use paywatch_chain::{EndpointPool, Source};

use crate::endpoint::{Endpoint, unreachable};

/// A log that can be read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What was written since this was last asked.
    fn take(&self) -> String {
        let written = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(written).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A change is told once, however often the endpoints are polled, and the numbers say what is now.
#[tokio::test(start_paused = true)]
async fn a_pool_tells_changes_once() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .without_time()
        .with_ansi(false)
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let recorder = PrometheusBuilder::new().build_recorder();
    let (metrics, _measuring) = (
        recorder.handle(),
        metrics::set_default_local_recorder(&recorder),
    );
    let shows = |line: &str| {
        let shown = metrics.render();
        assert!(shown.lines().any(|one| one == line), "{line}: {shown}");
    };

    let endpoints =
        [("one:1", "aaa"), ("two:2", "aa")].map(|(name, blocks)| Endpoint::new(name, blocks));
    let named = endpoints.iter().map(|one| (one.name(), one.clone()));
    let pool = EndpointPool::new(named.collect(), 2).unwrap();
    let polls = async || {
        for _ in 0..3 {
            let _health = pool.health().await;
            tokio::time::advance(Duration::from_secs(20)).await;
        }
    };
    polls().await;
    assert_eq!(log.take(), "");
    shows(r#"pw_endpoint_up{chain="chain",endpoint="one:1"} 1"#);
    shows(r#"pw_endpoint_lag_blocks{chain="chain",endpoint="two:2"} 1"#);

    endpoints[1].mood().health_error = Some(unreachable());
    polls().await;
    let lines = log.take();
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(lines.contains("WARN") && lines.contains("two:2"), "{lines}");
    shows(r#"pw_endpoint_up{chain="chain",endpoint="two:2"} 0"#);
    shows(r#"pw_endpoint_errors_total{chain="chain",endpoint="two:2",code="node_unreachable"} 3"#);

    endpoints[1].mood().health_error = None;
    endpoints[1].set_blocks("b");
    polls().await;
    let lines = log.take();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.contains("an endpoint is well again"), "{lines}");
    assert!(lines.contains("one:1 says a, two:2 says b"), "{lines}");
    shows(r#"pw_endpoint_up{chain="chain",endpoint="two:2"} 1"#);

    endpoints[1].mood().health_error = Some(unreachable());
    polls().await;
    log.take();
    endpoints[1].mood().health_error = None;
    endpoints[1].set_blocks("aaa");
    polls().await;
    let lines = log.take();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.contains("endpoints agree again"), "{lines}");
}
