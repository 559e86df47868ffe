//! The judge over hand-made reports, the comparison over hand-made values, and
//! the corpus over real guests.

mod checks;
mod compare;
mod corpus;
mod failure;
mod judge;
mod python_equality;
mod report;
mod schema;
mod scorecard;
