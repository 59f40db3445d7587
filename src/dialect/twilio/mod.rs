//! Twilio Verify v2.
