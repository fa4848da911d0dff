//! The machine that worlds run on: its cores, how much of them was used, and its memory.
//!
//! The threads of a world (its own, and one for each connection to its database) never have something to do
//! at the same time: each waits for another. On several cores they wake each other from one to the other,
//! which costs more than the work itself.

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// So often a thread offers its core to the others before it sleeps.
const YIELDS: u32 = 200;

/// Memory that looks like a disk, where there is such a thing.
const MEMORY: &str = "/dev/shm";

/// Where files are written that nobody needs later.
pub fn scratch() -> PathBuf {
    let memory = PathBuf::from(MEMORY);
    if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    }
}

/// The cores that this process may use, from the one on which it runs now.
#[cfg(target_os = "linux")]
pub fn cores() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu};

    let Ok(allowed) = sched_getaffinity(None) else {
        return Vec::new();
    };
    let all = 0..CpuSet::MAX_CPU;
    let mut cores: Vec<usize> = all.filter(|core| allowed.is_set(*core)).collect();
    let here = sched_getcpu();
    if let Some(place) = cores.iter().position(|core| *core == here) {
        cores.rotate_left(place);
    }
    cores
}

/// Keeps this thread, and those that it starts from now on, on one core.
#[cfg(target_os = "linux")]
pub fn keep_to(core: usize) {
    use rustix::thread::{CpuSet, sched_setaffinity};

    let mut one = CpuSet::new();
    one.set(core);
    // Where that is refused, everything is only slower.
    let _ = sched_setaffinity(None, &one);
}

/// None that could be chosen: elsewhere the choice is the system's.
#[cfg(not(target_os = "linux"))]
pub fn cores() -> Vec<usize> {
    Vec::new()
}

/// Does nothing.
#[cfg(not(target_os = "linux"))]
pub fn keep_to(_core: usize) {}

/// How long the processor has worked for this process, all its threads together.
pub fn cpu_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(spent).unwrap_or_default()
}

/// Whether a thread has news, and which one.
struct Bell {
    has_rung: AtomicBool,
    thread: Thread,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Runs a future to its end on this thread. While it waits, the core is offered to the thread that it waits
/// for, which has an answer within microseconds: to sleep and to be woken would take longer.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let bell = Arc::new(Bell {
        has_rung: AtomicBool::new(false),
        thread: thread::current(),
    });
    let waker = Waker::from(Arc::clone(&bell));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        let mut yields = 0;
        while !bell.has_rung.swap(false, Ordering::Acquire) {
            if yields < YIELDS {
                yields += 1;
                thread::yield_now();
            } else {
                thread::park();
            }
        }
    }
}
