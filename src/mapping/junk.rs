//! What editors, operating systems and version control leave behind: the built-in pack of patterns that are never sent.
