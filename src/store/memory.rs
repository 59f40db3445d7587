//! The engine of the tests: a map in memory.
