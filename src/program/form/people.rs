//! What may be known of members.

use serde_json::json;

use super::*;
use crate::domain::program::AttributeType;

words!(AttributeTypeWord -> AttributeType {
    "int" => AttributeType::Int, "a whole number";
    "bool" => AttributeType::Bool, "true or false";
    "text" => AttributeType::Text, "text of up to 256 bytes";
});
