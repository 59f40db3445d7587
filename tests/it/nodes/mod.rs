//! Several real servers on one database: races between them, and faults of theirs, of the database and of what is between them.

mod faults;
mod races;
mod servers;
