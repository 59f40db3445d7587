//! The file of the master key.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::Failure;
use super::write_beside::TextBeside;
use crate::crypto::master_key::MasterKey;
use crate::domain::entropy::Entropy;

/// Reads the key in `path`, which nobody but its owner may be able to read. `None` if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<MasterKey>, Failure> {
    let shown = path.display();
    let failure = |error: io::Error| Failure::new(format!("cannot read the master key in {shown}: {error}"));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failure(error)),
    };
    let metadata = file.metadata().map_err(failure)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(Failure::new(format!(
            "the master key in {shown} can be read by others than its owner; change that with: chmod 600 {shown}, or where \
             the mode is not yours to change, have a secret manager set COUNTERSIGN_MASTER_KEY to the key instead"
        )));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(failure)?;
    let key = MasterKey::parse(&text).map_err(|error| Failure::new(format!("{shown}: {error}")))?;
    Ok(Some(key))
}

/// Generates a key and keeps it in `path`. It is on disk when this returns: what will be sealed with it would be lost
/// without it.
pub(super) fn generate(path: &Path, entropy: &dyn Entropy) -> Result<MasterKey, Failure> {
    let key = MasterKey::generate(entropy);
    let text = Zeroizing::new(format!("{}\n", key.to_text().as_str()));
    write_secret(path, &text).map_err(|error| {
        Failure::new(format!(
            "cannot write the master key to {}: {error}",
            path.display()
        ))
    })?;
    Ok(key)
}

/// Whole or not at all: a key that is cut short would stop every later start. Never in the place of another key. The caller has the
/// directory to itself.
pub(super) fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    TextBeside::write(path, text)?.keep()
}

/// Many times as long as any key, and short enough for a file that is none.
const MOST_BYTES: u64 = 4096;

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::doubles::SeededEntropy;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_generated_key_is_read_back_and_for_its_owner_only() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("master.key");
        assert!(read(&path).unwrap().is_none());
        let made = generate(&path, &SeededEntropy::new(1)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let back = read(&path).unwrap().unwrap();
        assert_eq!(made.to_text(), back.to_text());
        let names: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        assert_eq!(names, ["master.key"]);
    }

    #[test]
    fn an_existing_key_is_never_replaced() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("master.key");
        generate(&path, &SeededEntropy::new(1)).unwrap();
        let before = fs::read(&path).unwrap();
        assert!(generate(&path, &SeededEntropy::new(2)).is_err());
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("master.key");
        generate(&path, &SeededEntropy::new(1)).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            set_mode(&path, mode);
            let line = read(&path).unwrap_err().line;
            assert!(
                line.contains("chmod 600 ") && line.contains("COUNTERSIGN_MASTER_KEY"),
                "{mode:o}: {line}"
            );
        }
        set_mode(&path, 0o400);
        assert!(read(&path).is_ok());
    }

    #[test]
    fn a_file_that_is_no_key_is_named_and_not_quoted() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("master.key");
        fs::write(&path, "hunter2").unwrap();
        set_mode(&path, 0o600);
        let line = read(&path).unwrap_err().line;
        assert!(
            line.starts_with(path.to_str().unwrap()) && !line.contains("hunter2"),
            "{line}"
        );
    }
}
