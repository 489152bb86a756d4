//! Identifiers, checked once at the edge and trusted below.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Why a raw identifier was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IdError {
    #[error("must not be empty")]
    Empty,
    #[error("is {len} bytes long, at most {max} are allowed")]
    TooLong { len: usize, max: usize },
    #[error("has {found:?} at byte {at}; allowed are printable ASCII characters except space, '|', '{{' and '}}'")]
    Character { found: char, at: usize },
    #[error(
        "has {found:?} at byte {at}; allowed is any text except '|', '{{', '}}', control characters, and white space at its ends"
    )]
    LabelCharacter { found: char, at: usize },
    #[error("begins with \"~guest~\" or \"~visitor~\", which is reserved")]
    Reserved,
}

/// Printable ASCII without the bytes that mean something inside a store key. Wide enough for UUIDs, e-mail-like
/// ids and URIs such as `gid://shop/Customer/7`.
fn check(raw: &str, max: usize) -> Result<(), IdError> {
    if raw.is_empty() {
        return Err(IdError::Empty);
    }
    if max < raw.len() {
        return Err(IdError::TooLong { len: raw.len(), max });
    }
    if is_plain(raw) {
        return Ok(());
    }
    match raw.char_indices().find(|(_, c)| !c.is_ascii_graphic() || matches!(c, '|' | '{' | '}')) {
        Some((at, found)) => Err(IdError::Character { found, at }),
        None => Ok(()),
    }
}

/// Whether only such characters occur as every id may have, without a look at what they are: a call has some fifty ids.
fn is_plain(raw: &str) -> bool {
    raw.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'|' | b'{' | b'}'))
}

/// What begins the ids that are made here for guests; no caller can send one.
const GUEST: &str = "~guest~";
/// The same for visitors.
const VISITOR: &str = "~visitor~";

/// An id that a caller may choose for a person.
fn check_member(raw: &str, max: usize) -> Result<(), IdError> {
    check(raw, max)?;
    if raw.starts_with(GUEST) || raw.starts_with(VISITOR) { Err(IdError::Reserved) } else { Ok(()) }
}

/// What shops call their categories: any language, spaces inside. Without the bytes that mean something inside a
/// store key, and without white space that nobody sees.
fn check_label(raw: &str, max: usize) -> Result<(), IdError> {
    if raw.is_empty() {
        return Err(IdError::Empty);
    }
    if max < raw.len() {
        return Err(IdError::TooLong { len: raw.len(), max });
    }
    if is_plain(raw) {
        return Ok(());
    }
    let inner = raw.trim();
    let start = raw.len() - raw.trim_start().len();
    let odd = raw.char_indices().find(|(at, c)| {
        let outside = *at < start || start + inner.len() <= *at;
        outside || c.is_control() || matches!(c, '|' | '{' | '}')
    });
    match odd {
        Some((at, found)) => Err(IdError::LabelCharacter { found, at }),
        None => Ok(()),
    }
}

// Most ids are short: up to 23 bytes lie in the value itself. A call has some fifty, and those of programs are in use on all
// cores at once, where counting references would send their cache lines to and fro.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        id! { $(#[$doc])* $name, $max, check, "printable ASCII except space, `|`, `{` and `}`" }
    };
    ($(#[$doc:meta])* $name:ident, $max:literal, $check:ident, $allowed:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(SmolStr);

        impl $name {
            /// Longest allowed, in bytes.
            pub const LEN_MAX: usize = $max;

            #[doc = concat!("Checks length and characters: ", $allowed, ".")]
            pub fn parse(raw: &str) -> Result<$name, IdError> {
                $check(raw, $name::LEN_MAX)?;
                Ok($name(raw.into()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

id! {
    /// A program: a versioned rule set, and the tenant that owns everything below.
    ProgramId, 48
}
id! {
    /// A person, or the stand-in for the guest of one order. Scope: program.
    MemberId, 64, check_member, "printable ASCII except space, `|`, `{` and `}`; not the form of a guest"
}
id! {
    /// What owns units; for one person it equals the member id. Scope: program.
    AccountId, 64
}
id! {
    /// An order, unique within a program.
    OrderId, 64
}
id! {
    /// A line, unique within its order and stable over returns.
    LineId, 64
}
id! {
    /// One return of goods, unique within its order.
    ReturnId, 64
}
id! {
    /// One thing that happened to an order after it was bought, unique within the order.
    OrderEventId, 64
}
id! {
    /// Chosen by the caller, one for each write. Scope: program and account.
    RequestId, 64
}
id! {
    /// A stock keeping unit.
    Sku, 64
}
id! {
    /// A category, brand, channel, store, seller, tender or other label that rules select by.
    Label, 64, check_label, "any but `|`, `{`, `}` and control characters; no white space at the ends"
}
id! {
    /// A unit of account: `points`, or another that the program defines.
    UnitId, 24
}
id! {
    /// A rule of the program.
    RuleId, 48
}
id! {
    /// A reward of the program.
    RewardId, 48
}
id! {
    /// A referral campaign of the program.
    CampaignId, 48
}
id! {
    /// One grant of units: what earned it, spelled out, so that it is the same whoever computes it.
    GrantId, 200
}
id! {
    /// A referral: `<campaign>:<friend's account>`, for a friend is attributed once.
    ReferralId, 120
}
id! {
    /// Somebody of whom nothing is known but that they have been here before: a browser, a device.
    VisitorId, 64
}
id! {
    /// A batch of commission that is paid out, unique within its account.
    PayoutId, 64
}
id! {
    /// A code as stored: upper case, without separators.
    Code, 40
}

id! {
    /// A counter of the program; or of a limit, whose name no program can give: `rule:base:units`.
    CounterId, 80
}
id! {
    /// A group of rules of the program.
    GroupId, 48
}

id! {
    /// A prize draw of the program.
    DrawId, 48
}

id! {
    /// A leaderboard of the program.
    BoardId, 48
}

id! {
    /// A stamp card of the program.
    CardId, 48
}

id! {
    /// A voucher: `<account>:<what issued it>`, spelled out, so that the same cause never issues twice.
    VoucherId, 280
}
id! {
    /// A member price of the program.
    PriceId, 48
}
id! {
    /// A ladder of levels of the program.
    LadderId, 32
}
id! {
    /// A level, unique within its ladder.
    LevelId, 32
}
id! {
    /// A goal of the program.
    GoalId, 48
}

id! {
    /// Something that a member did outside an order, unique within its account.
    EventId, 64
}

impl From<&MemberId> for AccountId {
    /// A member who has joined no household owns an account of the same name.
    fn from(member: &MemberId) -> AccountId {
        AccountId(member.0.clone())
    }
}

impl MemberId {
    /// Who placed an order as a guest: one stand-in for each order, under a name that no caller can send. It is
    /// derived, so that whoever knows the order finds its account without being told.
    pub fn guest(order: &OrderId) -> MemberId {
        let digest = super::ledger::digest(order.as_str().as_bytes());
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        MemberId(format!("{GUEST}{hex}").into())
    }

    pub fn is_guest(&self) -> bool {
        self.0.starts_with(GUEST)
    }

    /// Under whose name a visitor's record lies: derived, so that the visitor's own is stored nowhere.
    pub fn visitor(visitor: &VisitorId) -> MemberId {
        let digest = super::ledger::digest(visitor.as_str().as_bytes());
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        MemberId(format!("{VISITOR}{hex}").into())
    }
}

impl From<&AccountId> for MemberId {
    /// The inverse: whose own account it is, or was.
    fn from(account: &AccountId) -> MemberId {
        MemberId(account.0.clone())
    }
}

impl AccountId {
    /// Whether it is the account of one guest order.
    pub fn is_guest(&self) -> bool {
        self.0.starts_with(GUEST)
    }
}

impl CounterId {
    /// Whether it counts for a limit: no program can give a counter such a name.
    pub fn is_of_limit(&self) -> bool {
        self.0.contains(':') && self.value_part().is_none()
    }

    /// A part of the value profile, `of` something that is a valid label. No program can name a counter so.
    pub fn of_value(part: &str, of: &str) -> CounterId {
        CounterId(format!("~{part}{of}").into())
    }

    /// Which part of the value profile it is.
    pub fn value_part(&self) -> Option<&str> {
        self.0.strip_prefix('~')
    }
}

impl UnitId {
    /// The unit that a program has when it names none.
    pub fn points() -> UnitId {
        UnitId("points".into())
    }
}

impl CounterId {
    /// Counts what is credited by hand of a unit. No program can name a counter so.
    pub fn adjusted(unit: &UnitId) -> CounterId {
        CounterId(format!("{{adjusted:{unit}}}").into())
    }
}

impl CounterId {
    /// What a referral campaign counts of an account: friends, units, orders. No program can name it.
    pub fn referral(campaign: &CampaignId, what: &str) -> CounterId {
        CounterId(format!("{{referral.{campaign}.{what}}}").into())
    }
}

impl ReturnId {
    /// Names the return in its preview, which commits nothing. No caller can send this id, so a preview is never
    /// taken for a return that was applied.
    pub fn preview() -> ReturnId {
        ReturnId("{preview}".into())
    }
}

impl RuleId {
    /// What a level multiplies of a unit. No rule of a program file can be named so: a name has no `/`.
    pub fn of_level(ladder: &LadderId, level: &LevelId, unit: &UnitId) -> RuleId {
        RuleId(format!("{ladder}/{level}/{unit}").into())
    }
}

impl GrantId {
    /// Joins parts that are valid ids of bounded length, so the result is valid.
    pub fn of(parts: &[&str]) -> GrantId {
        GrantId(parts.join(":").into())
    }
}

impl VoucherId {
    /// Joins valid ids of bounded length, so the result is valid.
    pub fn of(account: &AccountId, cause: &GrantId) -> VoucherId {
        VoucherId(format!("{account}:{cause}").into())
    }
}

impl ReferralId {
    /// A friend is attributed once per campaign, so the pair names the referral.
    pub fn of(campaign: &CampaignId, friend: &AccountId) -> ReferralId {
        ReferralId(format!("{campaign}:{friend}").into())
    }

    /// The account of the friend, which owns the referral's record.
    pub fn friend(&self) -> Option<AccountId> {
        let (_, friend) = self.0.split_once(':')?;
        AccountId::parse(friend).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_printable_ascii_without_key_separators() {
        for (raw, expected) in [
            ("mia-7", Ok(())),
            ("gid://shop/Customer/7", Ok(())),
            ("", Err(IdError::Empty)),
            ("a b", Err(IdError::Character { found: ' ', at: 1 })),
            ("a|b", Err(IdError::Character { found: '|', at: 1 })),
            ("a{b}", Err(IdError::Character { found: '{', at: 1 })),
            ("grüße", Err(IdError::Character { found: 'ü', at: 2 })),
            ("a\nb", Err(IdError::Character { found: '\n', at: 1 })),
        ] {
            assert_eq!(MemberId::parse(raw).map(|_| ()), expected, "{raw:?}");
        }
        assert_eq!(MemberId::parse("~guest~00"), Err(IdError::Reserved));
        assert_eq!(MemberId::parse("~visitor~00"), Err(IdError::Reserved));
        let guest = MemberId::guest(&OrderId::parse("order-1").expect("an id"));
        assert!(guest.is_guest() && AccountId::from(&guest).is_guest() && AccountId::parse(guest.as_str()).is_ok());
        assert_ne!(guest, MemberId::guest(&OrderId::parse("order-2").expect("an id")));
        let odd = |found, at| Err(IdError::LabelCharacter { found, at });
        for (raw, expected) in [
            ("FLUID MILK PRODUCTS", Ok(())),
            ("COUPON/MISC ITEMS", Ok(())),
            ("Käse", Ok(())),
            ("", Err(IdError::Empty)),
            (" a", odd(' ', 0)),
            ("a ", odd(' ', 1)),
            ("a\tb", odd('\t', 1)),
            ("a|b", odd('|', 1)),
        ] {
            assert_eq!(Label::parse(raw).map(|_| ()), expected, "{raw:?}");
        }
        let long = "x".repeat(65);
        assert_eq!(MemberId::parse(&long), Err(IdError::TooLong { len: 65, max: 64 }));
    }
}
