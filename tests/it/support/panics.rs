//! Panics of detached tasks, by the runtime in which they happened: each test has its own.

use std::panic;
use std::sync::{Mutex, Once};

use tokio::runtime::{Handle, Id};

static HAPPENED: Mutex<Vec<(Option<Id>, String)>> = Mutex::new(Vec::new());
static WATCHING: Once = Once::new();

/// Records every panic from now on.
pub fn watch() {
    WATCHING.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            HAPPENED.lock().unwrap().push((runtime(), info.to_string()));
            print(info);
        }));
    });
}

/// Returns the panics of the current runtime.
pub fn here() -> Vec<String> {
    let runtime = runtime();
    let happened = HAPPENED.lock().unwrap();
    happened.iter().filter(|(of, _)| *of == runtime).map(|(_, text)| text.clone()).collect()
}

fn runtime() -> Option<Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}
