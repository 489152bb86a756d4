//! Accounts that members share, merges, transfers, erasure.

use tonic::{Request, Response};

use super::request::{self, Envelope};
use super::violations::{Path, Violations, read};
use super::wire::{self, account_service_server::AccountService};
use super::{Face, Reply, fingerprints, response, status, trace};
use crate::domain::account::{AccountKind, Role};
use crate::domain::answer::Answer;
use crate::domain::command::{
    Command, CreateAccount, Depart, Recipient, Relocate, Relocation, SendUnits, SetRole, Target,
};
use crate::domain::id::{AccountId, MemberId, ProgramId, UnitId};
use crate::service::{Calls, Write};

pub(super) const METHODS: &[&str] = &[
    "guerdon.v1.AccountService/CreateAccount",
    "guerdon.v1.AccountService/GetAccount",
    "guerdon.v1.AccountService/JoinAccount",
    "guerdon.v1.AccountService/LeaveAccount",
    "guerdon.v1.AccountService/SetRole",
];

#[tonic::async_trait]
impl AccountService for Face {
    async fn create_account(&self, raw: Request<wire::CreateAccountRequest>) -> Reply<wire::CreateAccountResponse> {
        let write = read(|bad| create_account(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::CreateAccount(answer) => Some(response::create_account(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn get_account(&self, raw: Request<wire::GetAccountRequest>) -> Reply<wire::GetAccountResponse> {
        let asked = read(|bad| get_account(bad, &*self.calls, raw.get_ref()));
        let (program, account) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let view = self.calls.account(&program, &account).await.map_err(|error| status::of(&error))?;
        Ok(Response::new(response::account(view)))
    }

    async fn join_account(&self, raw: Request<wire::JoinAccountRequest>) -> Reply<wire::JoinAccountResponse> {
        let write = read(|bad| join_account(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Move(answer) => Some(response::join_account(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn leave_account(&self, raw: Request<wire::LeaveAccountRequest>) -> Reply<wire::LeaveAccountResponse> {
        let write = read(|bad| leave_account(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Move(answer) => Some(response::leave_account(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn set_role(&self, raw: Request<wire::SetRoleRequest>) -> Reply<wire::SetRoleResponse> {
        let write = read(|bad| set_role(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::SetRole(answer) => Some(response::set_role(answer, replayed)),
            _ => None,
        })
        .await
    }
}

fn create_account(bad: &mut Violations, calls: &dyn Calls, raw: &wire::CreateAccountRequest) -> Option<Write> {
    let wire::CreateAccountRequest { program_id, account_id, request_id, kind, occurred_at } = raw;
    // An account is named like a member, and its requests are its own.
    let envelope = Envelope::of_account(bad, calls, program_id, account_id, request_id, occurred_at.as_ref());
    let at = &Path::Of("kind");
    let kind = request::known(bad, at, *kind).and_then(|kind| match kind {
        wire::AccountKind::Household => Some(AccountKind::Household),
        wire::AccountKind::Company => Some(AccountKind::Company),
        wire::AccountKind::Partner => Some(AccountKind::Partner),
        wire::AccountKind::Unspecified | wire::AccountKind::Person | wire::AccountKind::Guest => {
            bad.add(at, "must be ACCOUNT_KIND_HOUSEHOLD or ACCOUNT_KIND_COMPANY");
            None
        }
    });
    let envelope = envelope?;
    let create = CreateAccount { account: AccountId::from(envelope.member()), kind: kind? };
    Some(envelope.write(fingerprints::create_account(raw), Command::CreateAccount(create)))
}

fn get_account(
    bad: &mut Violations,
    calls: &dyn Calls,
    raw: &wire::GetAccountRequest,
) -> Option<(ProgramId, AccountId)> {
    let program = request::program(bad, calls, &raw.program_id);
    let account = bad.take(&Path::Of("account_id"), AccountId::parse(&raw.account_id));
    Some((program?, account?))
}

fn join_account(bad: &mut Violations, calls: &dyn Calls, raw: &wire::JoinAccountRequest) -> Option<Write> {
    let wire::JoinAccountRequest { program_id, member_id, request_id, occurred_at, .. } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let account = bad.take(&Path::Of("account_id"), AccountId::parse(&raw.account_id));
    let role = request::known(bad, &Path::Of("role"), raw.role).map(|role| self::role(role).unwrap_or(Role::Member));
    let inviter_at = &Path::Of("invited_by_member_id");
    let invited_by = request::optional(bad, inviter_at, &raw.invited_by_member_id, MemberId::parse);
    let why = Relocation::Join { account: account?, role: role?, invited_by: invited_by? };
    let relocate = Relocate { why, target: Target::Unknown };
    Some(envelope?.write(fingerprints::join_account(raw), Command::Relocate(relocate)))
}

fn leave_account(bad: &mut Violations, calls: &dyn Calls, raw: &wire::LeaveAccountRequest) -> Option<Write> {
    let wire::LeaveAccountRequest { program_id, member_id, request_id, occurred_at } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    Some(envelope?.write(fingerprints::leave_account(raw), Command::Depart(Depart::Leave)))
}

fn set_role(bad: &mut Violations, calls: &dyn Calls, raw: &wire::SetRoleRequest) -> Option<Write> {
    let wire::SetRoleRequest { program_id, member_id, request_id, occurred_at, .. } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let person = bad.take(&Path::Of("person_member_id"), MemberId::parse(&raw.person_member_id));
    let at = &Path::Of("role");
    let role = request::known(bad, at, raw.role).and_then(|known| bad.take(at, role(known).ok_or("is required")));
    let set = SetRole { person: person?, role: role? };
    Some(envelope?.write(fingerprints::set_role(raw), Command::SetRole(set)))
}

fn role(role: wire::Role) -> Option<Role> {
    match role {
        wire::Role::Unspecified => None,
        wire::Role::Owner => Some(Role::Owner),
        wire::Role::Admin => Some(Role::Admin),
        wire::Role::Member => Some(Role::Member),
        wire::Role::Earner => Some(Role::Earner),
    }
}

pub(super) fn merge(bad: &mut Violations, calls: &dyn Calls, raw: &wire::MergeRequest) -> Option<Write> {
    let wire::MergeRequest { program_id, member_id, request_id, into_member_id, occurred_at } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let into = bad.take(&Path::Of("into_member_id"), MemberId::parse(into_member_id));
    let relocate = Relocate { why: Relocation::Merge { into: into? }, target: Target::Unknown };
    Some(envelope?.write(fingerprints::merge(raw), Command::Relocate(relocate)))
}

pub(super) fn unmerge(bad: &mut Violations, calls: &dyn Calls, raw: &wire::UnmergeRequest) -> Option<Write> {
    let wire::UnmergeRequest { program_id, member_id, request_id, occurred_at } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    Some(envelope?.write(fingerprints::unmerge(raw), Command::Depart(Depart::Undo)))
}

pub(super) fn erase(bad: &mut Violations, calls: &dyn Calls, raw: &wire::EraseRequest) -> Option<Write> {
    let wire::EraseRequest { program_id, member_id, request_id, occurred_at } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    Some(envelope?.write(fingerprints::erase(raw), Command::Erase))
}

pub(super) fn transfer(bad: &mut Violations, calls: &dyn Calls, raw: &wire::TransferRequest) -> Option<Write> {
    let wire::TransferRequest { program_id, member_id, request_id, occurred_at, .. } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let to = bad.take(&Path::Of("to_member_id"), MemberId::parse(&raw.to_member_id));
    let unit = request::optional(bad, &Path::Of("unit"), &raw.unit, UnitId::parse);
    let amount = request::number(bad, &Path::Of("amount"), raw.amount, request::SOME_AMOUNT);
    let send = SendUnits { to: to?, unit: unit?, amount: amount?, target: Recipient::Unknown };
    Some(envelope?.write(fingerprints::transfer(raw), Command::Send(send)))
}
