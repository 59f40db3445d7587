//! Several real servers on one database, and faults of theirs, of the database and of what is between them.

mod faults;
mod servers;
