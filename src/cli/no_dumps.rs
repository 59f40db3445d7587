//! Keeps what is in this process's memory, keys among it, out of files and away from other processes of the same user.
//!
//! A process that crashes would leave all of its memory in a file, wherever the machine puts such files, for whoever may read them
//! there. Debuggers of the same user are kept off by the same means; root is not.

use std::ffi::OsString;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Whoever looks for a fault of the server may want them all the same.
const WANTED: (&str, &str) = ("COUNTERSIGN_CORE_DUMPS", "1");

/// Has this process leave none, nor what it starts.
pub(super) fn leave_no_core_dumps(environment: &[(OsString, OsString)]) {
    let (name, value) = WANTED;
    if environment
        .iter()
        .any(|(given, said)| given == name && said == value)
    {
        return;
    }
    // Less than any core is long, so there is no file; and where cores go through a pipe to a program, Linux takes a limit of 0 for
    // none at all, and this one for "not even there". What is started here inherits it.
    let none = Rlimit {
        current: Some(1),
        maximum: Some(1),
    };
    // Lowering it is always allowed; where the limit is 0 already, that stays.
    let _limited = setrlimit(Resource::Core, none);
    // Also keeps other processes of this user away, and does not survive the start of another program.
    #[cfg(target_os = "linux")]
    let _kept = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
