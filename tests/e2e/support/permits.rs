//! How many sandboxes may live at once in this test binary; one on AWS counts for each cluster in it.

use std::sync::{Condvar, Mutex, PoisonError};

/// Three control planes are about 1.7 GB, and keep two cores busy while they boot.
const DEFAULT: usize = 3;

static FREE: Mutex<Option<usize>> = Mutex::new(None);
static RETURNED: Condvar = Condvar::new();

/// Leave to run some sandboxes; given back when dropped.
pub struct Permits(usize);

/// Waits for leave to run `count` sandboxes, all of it at once: tests that need two never hold one and wait for the
/// other.
pub fn take(count: usize) -> Permits {
    let most = std::env::var("PIPECTL_E2E_SANDBOXES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(DEFAULT)
        .max(count);
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let left = free.get_or_insert(most);
        if *left >= count {
            *left -= count;
            return Permits(count);
        }
        free = RETURNED.wait(free).unwrap_or_else(PoisonError::into_inner);
    }
}

impl Permits {
    /// Two halves of leave for two.
    pub fn split(mut self) -> (Self, Self) {
        let one = Self(1);
        self.0 -= 1;
        (one, self)
    }
}

impl Drop for Permits {
    fn drop(&mut self) {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = free.as_mut() {
            *left += self.0;
        }
        RETURNED.notify_all();
    }
}
