//! What may be known of members.

use serde_json::json;

use super::*;
use crate::domain::program::AttributeType;

words!(AttributeTypeWord -> AttributeType {
    "int" => AttributeType::Int, "a whole number";
    "bool" => AttributeType::Bool, "true or false";
    "text" => AttributeType::Text, "text of up to 256 bytes";
});

/// As [`AttributeTypeWord`] reads it, without reporting.
pub(in crate::program) fn attribute_type(word: &str) -> Option<AttributeType> {
    match word {
        "int" => Some(AttributeType::Int),
        "bool" => Some(AttributeType::Bool),
        "text" => Some(AttributeType::Text),
        _ => None,
    }
}
