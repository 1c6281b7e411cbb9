//! The stand-in tools that the tests put on PATH live in `bin/`; there is nothing else to link.
//! Knows nothing of the tests that use them.
