//! Budgets, blocks and events, over a store in memory.
