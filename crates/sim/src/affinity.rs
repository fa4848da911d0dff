//! Which core of the machine a world runs on.
//!
//! The threads of a world (its own, and one for each connection to its database) never have something to do
//! at the same time: each waits for another. On several cores they wake each other from one to the other,
//! which costs more than the work itself.

/// The cores that this process may use, from the one on which it runs now.
#[cfg(target_os = "linux")]
pub(crate) fn cores() -> Vec<usize> {
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
pub(crate) fn keep_to(core: usize) {
    use rustix::thread::{CpuSet, sched_setaffinity};

    let mut one = CpuSet::new();
    one.set(core);
    // Where that is refused, everything is only slower.
    let _ = sched_setaffinity(None, &one);
}

/// None that could be chosen: elsewhere the choice is the system's.
#[cfg(not(target_os = "linux"))]
pub(crate) fn cores() -> Vec<usize> {
    Vec::new()
}

/// Does nothing.
#[cfg(not(target_os = "linux"))]
pub(crate) fn keep_to(_core: usize) {}
