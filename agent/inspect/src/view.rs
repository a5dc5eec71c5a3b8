//! Pairs as people look at them: what agents or a store answered, as rows that are merged, grouped,
//! searched and sorted.

mod fold;
mod question;
mod reading;
mod row;
mod source;

pub use self::question::{Group, Sort, Window};
pub(crate) use self::{
    question::{Question, next, word},
    reading::Reading,
    row::{Key, Row},
    source::Source,
};
