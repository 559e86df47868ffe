//! The judge over hand-made reports, and the comparison over hand-made values.

mod checks;
mod compare;
mod judge;
mod report;
