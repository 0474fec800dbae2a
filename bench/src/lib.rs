//! Yardsticks and generators of data for Tollgate.
