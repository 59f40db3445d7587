//! Which of the backups that wait are handed to the command, and in which order.

use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::config::CommandLine;
use crate::doubles::TestParts;

/// A directory with backups that wait for a command, which notes the name of each, and then does as a script says.
struct WaitingBackups {
    place: TempDir,
    job: Arc<BackupJob>,
    moments: Vec<Timestamp>,
}

impl WaitingBackups {
    /// In the script, `@` is where names are noted.
    fn new(script: &str) -> Self {
        let place = TempDir::new().unwrap();
        let directory = place.path().join("backups");
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        let app = Arc::new(TestParts::default().wire());
        let shelf = BackupShelf::new(&directory, app.vault.store_identity());
        let day = Duration::from_hours(24);
        let moments: Vec<_> = (1..=3)
            .rev()
            .map(|days| app.clock.now().before(days * day))
            .collect();
        for moment in &moments {
            fs::write(shelf.unsent().path(*moment), b"a backup").unwrap();
        }
        let script = format!("echo $COUNTERSIGN_BACKUP >>@/asked; {script}");
        let script = script.replace('@', place.path().to_str().unwrap());
        let job = BackupJob {
            shelf: Arc::new(shelf),
            schedule: BackupSchedule {
                directory,
                every: day,
                keep: 9,
                recipients: Vec::new(),
                command: Some(CommandLine {
                    program: "sh".to_owned(),
                    arguments: vec!["-c".to_owned(), script],
                }),
                command_limit: Duration::from_mins(1),
            },
            app,
            since_own: None,
            is_first: false,
            stop: Arc::default(),
        };
        Self {
            place,
            job: Arc::new(job),
            moments,
        }
    }

    /// Hands over what waits until then; what came of it, and for which the command was asked.
    async fn round(
        &self,
        due: Instant,
        refused: &mut Option<Timestamp>,
    ) -> (Result<(), String>, Vec<Timestamp>) {
        let handed = Arc::clone(&self.job).hand_over_all(due, refused).await;
        let asked = self.place.path().join("asked");
        let names = fs::read_to_string(&asked).unwrap_or_default();
        let _none = fs::remove_file(asked);
        let moment = |name: &str| {
            let is_its = |moment: &&Timestamp| self.job.shelf.path(**moment).ends_with(name);
            *self.moments.iter().find(is_its).unwrap()
        };
        (handed, names.lines().map(moment).collect())
    }

    fn unsent(&self) -> Vec<Timestamp> {
        self.job.shelf.unsent().moments(self.job.app.clock.now()).unwrap()
    }
}

/// One that takes all the time that there is until the next one is due, and is refused then, comes last in the next round: it would
/// take that one's time as well.
#[tokio::test]
async fn one_that_was_refused_comes_last_in_the_next_round() {
    let waiting = WaitingBackups::new("sleep 1; exit 3");
    let [first, second, third] = waiting.moments[..] else {
        panic!("three were made")
    };
    let mut refused = None;
    let soon = Instant::now() + Duration::from_millis(500);
    let (handed, asked) = waiting.round(soon, &mut refused).await;
    let why = handed.unwrap_err();
    assert!(
        why.contains("backup.command (\"sh\") failed (exit status: 3)"),
        "{why}"
    );
    assert_eq!((asked, refused), (vec![first], Some(first)));
    assert_eq!(waiting.unsent(), waiting.moments, "all of them wait");

    let later = Instant::now() + Duration::from_mins(1);
    let (handed, asked) = waiting.round(later, &mut refused).await;
    assert!(handed.is_err());
    assert_eq!(asked, [second, third, first]);
}

/// Those behind one that is refused are taken all the same, and it is asked for again.
#[tokio::test]
async fn one_that_is_refused_keeps_no_other_one_from_being_taken() {
    let waiting = WaitingBackups::new("test $(wc -l <@/asked) -gt 1 || exit 3; cat >/dev/null");
    let first = waiting.moments[0];
    let (mut refused, later) = (None, Instant::now() + Duration::from_mins(1));
    let (handed, asked) = waiting.round(later, &mut refused).await;
    assert!(handed.is_err());
    assert_eq!(asked, waiting.moments);
    assert_eq!((waiting.unsent(), refused), (vec![first], Some(first)));
    let (_, asked) = waiting.round(later, &mut refused).await;
    assert_eq!(asked, [first]);
}
