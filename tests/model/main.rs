//! Property tests against simple models.
