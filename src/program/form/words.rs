//! Words and dates of the sections on the life of units and on guests.

use serde_json::json;

use super::super::read::words;
use super::*;

words!(OrderKindWord -> OrderKind {
    "ordinary" => OrderKind::Ordinary, "none of the others";
    "first" => OrderKind::First, "the first of a subscription";
    "renewal" => OrderKind::Renewal, "a later one of a subscription";
    "trial" => OrderKind::Trial, "tried before it is bought";
    "replacement" => OrderKind::Replacement, "sent instead of what was bought before";
});
