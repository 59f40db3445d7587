//! Sealing, tokens, one-time codes and device signatures.
