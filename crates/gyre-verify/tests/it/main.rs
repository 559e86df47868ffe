//! The judge over hand-made reports, and the comparison over hand-made values.

mod compare;
mod judge;
