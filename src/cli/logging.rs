//! Logs, set up before the first thing that may be worth logging.
