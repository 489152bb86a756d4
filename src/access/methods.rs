//! Which roles may call which method. A method that is not here may be called by nobody; a test holds the table
//! against the contract.

use Role::{Admin, Analyst, Checkout, ProgramOwner, Support};

use super::Role;

/// What is asked of who calls a method.
#[derive(PartialEq, Eq, Debug)]
pub struct Method {
    /// In full: `guerdon.v1.CheckoutService/Commit`.
    pub name: &'static str,
    /// Any of these.
    pub roles: &'static [Role],
    /// An administrative write: it is in the audit. What shops' services do in the course of things is none (`SetRole`,
    /// `CancelVoucher`, a `GetOutcome` that burns a request id), nor is `EndDay`, which is no write of a program.
    pub audited: bool,
    /// Concerns all programs at once, so that a credential for some is not enough.
    pub whole_deployment: bool,
}

/// What happens to an order, in a shop or at its help desk.
const ORDERS: &[Role] = &[Checkout, Support, Admin];
/// What a shop's services do for members, and support in their place.
const MEMBERS: &[Role] = &[Checkout, Support, Admin];
const SHOP: &[Role] = &[Checkout, Admin];
/// Reading about one member or order.
const READS: &[Role] = &[Checkout, Support, Analyst, Admin];
/// What shows nothing of single members.
const FIGURES: &[Role] = &[Checkout, Support, ProgramOwner, Analyst, Admin];
/// What is the same for everybody.
const ANYBODY: &[Role] = &Role::ALL;
/// Decisions of people over members.
pub(super) const CORRECTIONS: &[Role] = &[Support, Admin];
const ADMIN: &[Role] = &[Admin];

const fn open(name: &'static str, roles: &'static [Role]) -> Method {
    Method { name, roles, audited: false, whole_deployment: false }
}

const fn audited(name: &'static str, roles: &'static [Role]) -> Method {
    Method { audited: true, ..open(name, roles) }
}

/// All methods of the contract.
pub const METHODS: &[Method] = &[
    open("guerdon.v1.CheckoutService/Quote", &[Checkout, Support, ProgramOwner, Admin]),
    open("guerdon.v1.CheckoutService/Reserve", SHOP),
    open("guerdon.v1.CheckoutService/Commit", SHOP),
    open("guerdon.v1.CheckoutService/Release", ORDERS),
    open("guerdon.v1.CheckoutService/QuoteReturn", ORDERS),
    open("guerdon.v1.CheckoutService/Return", ORDERS),
    open("guerdon.v1.CheckoutService/AmendOrder", ORDERS),
    open("guerdon.v1.CheckoutService/ClaimOrder", ORDERS),
    open("guerdon.v1.CheckoutService/RecordOrderEvent", ORDERS),
    open("guerdon.v1.CheckoutService/GetOrder", READS),
    // With `fence` it burns a request id, so it is for who sends requests.
    open("guerdon.v1.CheckoutService/GetOutcome", ORDERS),
    open("guerdon.v1.MemberService/Enroll", MEMBERS),
    open("guerdon.v1.MemberService/GetMember", READS),
    open("guerdon.v1.MemberService/UpdateMember", MEMBERS),
    audited("guerdon.v1.MemberService/Adjust", CORRECTIONS),
    audited("guerdon.v1.MemberService/ExtendExpiry", CORRECTIONS),
    audited("guerdon.v1.MemberService/Reinstate", CORRECTIONS),
    audited("guerdon.v1.MemberService/SetTier", CORRECTIONS),
    open("guerdon.v1.MemberService/Transfer", MEMBERS),
    audited("guerdon.v1.MemberService/Merge", CORRECTIONS),
    audited("guerdon.v1.MemberService/Unmerge", CORRECTIONS),
    audited("guerdon.v1.MemberService/Erase", ADMIN),
    open("guerdon.v1.MemberService/ListEntries", READS),
    open("guerdon.v1.MemberService/GetLeaderboard", READS),
    open("guerdon.v1.MemberService/RecordEvent", MEMBERS),
    audited("guerdon.v1.MemberService/ReviewEvent", CORRECTIONS),
    audited("guerdon.v1.MemberService/RevokeEvent", CORRECTIONS),
    open("guerdon.v1.AccountService/CreateAccount", MEMBERS),
    open("guerdon.v1.AccountService/GetAccount", READS),
    open("guerdon.v1.AccountService/JoinAccount", MEMBERS),
    open("guerdon.v1.AccountService/LeaveAccount", MEMBERS),
    open("guerdon.v1.AccountService/SetRole", MEMBERS),
    open("guerdon.v1.ReferralService/CreateCode", MEMBERS),
    audited("guerdon.v1.ReferralService/UpdateCode", CORRECTIONS),
    open("guerdon.v1.ReferralService/GetCode", READS),
    // In the name of an agent only for whom may correct: `grpc/referral.rs`.
    open("guerdon.v1.ReferralService/Attribute", MEMBERS),
    open("guerdon.v1.ReferralService/GetReferral", READS),
    open("guerdon.v1.ReferralService/RecordTouch", MEMBERS),
    open("guerdon.v1.ReferralService/ExplainAttribution", MEMBERS),
    audited("guerdon.v1.ReferralService/ReviewReward", CORRECTIONS),
    open("guerdon.v1.ReferralService/ListReviews", &[Support, Analyst, Admin]),
    open("guerdon.v1.ReferralService/ListReferrals", READS),
    open("guerdon.v1.ReferralService/GetReferralTree", READS),
    open("guerdon.v1.ReferralService/GetStats", FIGURES),
    open("guerdon.v1.ReferralService/VerifyStats", &[Support, Analyst, Admin]),
    open("guerdon.v1.RewardService/ListRewards", READS),
    open("guerdon.v1.RewardService/Redeem", MEMBERS),
    open("guerdon.v1.RewardService/FulfilVoucher", ORDERS),
    open("guerdon.v1.RewardService/CancelVoucher", ORDERS),
    open("guerdon.v1.RewardService/ListVouchers", READS),
    open("guerdon.v1.RewardService/GetDraw", FIGURES),
    open("guerdon.v1.RewardService/ListDrawTickets", FIGURES),
    audited("guerdon.v1.PayoutService/PreparePayout", ADMIN),
    audited("guerdon.v1.PayoutService/ConfirmPayout", ADMIN),
    open("guerdon.v1.PayoutService/ListPayouts", &[Support, Analyst, Admin]),
    open("guerdon.v1.LedgerService/VerifyMember", READS),
    open("guerdon.v1.LedgerService/ListNotices", READS),
    open("guerdon.v1.LedgerService/ListAuditEntries", ADMIN),
    open("guerdon.v1.LimitService/GetLimits", ANYBODY),
    Method { whole_deployment: true, ..open("guerdon.v1.SimulationService/EndDay", ADMIN) },
];

/// The method of that full name.
pub fn method(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// The method of that name, in full or as its service has it: `Adjust`. No two services have one of the same name.
pub fn named(name: &str) -> Option<&'static Method> {
    METHODS
        .iter()
        .find(|method| method.name == name || method.name.rsplit_once('/').is_some_and(|(_, own)| own == name))
}
