//! Whole networks, torn down in right and wrong orders.
