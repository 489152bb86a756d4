//! What is known of people, and who belongs to which account.

use super::super::account::{AccountState, Role};
use super::super::answer::{Answer, CreateAccountAnswer, Reason, Refusal, SetRoleAnswer, Subject, UpdateMemberAnswer};
use super::super::command::{CreateAccount, ProfileChange, SetRole, UpdateMember};
use super::super::desk::Desk;
use super::super::id::MemberId;
use super::super::ledger::Fact;
use super::{Decision, Halt, Scene, no};

/// Changes a person's profile as far as it can be as asked; answers what cannot.
pub(super) fn change_profile(
    scene: &Scene<'_>,
    desk: &mut Desk,
    member: &MemberId,
    change: &ProfileChange,
) -> Result<Vec<Refusal>, Halt> {
    let person = desk.state.person(member).ok_or_else(|| no(Subject::Member, Reason::MemberUnknown))?;
    let (profile, refusals) = person.profile.changed(change, scene.program, scene.snapshot.salt);
    if profile != person.profile {
        let fact = Fact::ProfileChanged { member: member.clone(), digest: profile.digest() };
        desk.post(scene.times.effective_at, fact)?;
        desk.state_mut().put_profile(member, profile)?;
    }
    Ok(refusals)
}

/// All of it or nothing.
pub(super) fn update(scene: &Scene<'_>, command: &UpdateMember) -> Result<Decision, Halt> {
    scene.check_times(Subject::Member)?;
    let mut desk = scene.desk()?;
    let member = scene.acting(&desk.state)?;
    let refusals = change_profile(scene, &mut desk, &member, &command.change)?;
    let mut decided = scene.decided();
    if !refusals.is_empty() {
        decided.refusals = refusals;
        let answer = Answer::UpdateMember(UpdateMemberAnswer { updated: false, decided });
        return Ok(scene.unchanged(answer, true));
    }
    super::referral::keep(scene, &mut desk, &member, &command.signals)?;
    let answer = Answer::UpdateMember(UpdateMemberAnswer { updated: true, decided });
    Ok(scene.done(desk, answer))
}

pub(super) fn create_account(scene: &Scene<'_>, command: &CreateAccount) -> Result<Decision, Halt> {
    scene.check_times(Subject::Account)?;
    if scene.snapshot.account.is_some() {
        return Err(no(Subject::Account, Reason::AccountExists));
    }
    let mut desk = scene.desk_of(AccountState::new(command.account.clone()))?;
    desk.post(scene.times.effective_at, Fact::AccountCreated { kind: command.kind })?;
    let answer = CreateAccountAnswer { created: true, decided: scene.decided() };
    Ok(scene.done(desk, Answer::CreateAccount(answer)))
}

/// Only owners set roles, and an account keeps an owner.
pub(super) fn set_role(scene: &Scene<'_>, command: &SetRole) -> Result<Decision, Halt> {
    scene.check_times(Subject::Account)?;
    let mut desk = scene.desk()?;
    let who = scene.acting(&desk.state).map_err(|_| no(Subject::Account, Reason::NotInAccount))?;
    let role_of = |member: &MemberId| desk.state.person(member).map(|person| person.role);
    let before = role_of(&command.person).filter(|_| desk.state.is_shared());
    let before = before.ok_or_else(|| no(Subject::Account, Reason::NotInAccount))?;
    let owners = desk.state.people.iter().filter(|person| person.role == Role::Owner).count();
    let last = before == Role::Owner && owners == 1 && command.role != Role::Owner;
    if role_of(&who) != Some(Role::Owner) || last {
        return Err(no(Subject::Account, Reason::RoleMayNot));
    }
    if before != command.role {
        let fact = Fact::RoleSet { member: command.person.clone(), role: command.role };
        desk.post(scene.times.effective_at, fact)?;
    }
    let answer = SetRoleAnswer { set: true, decided: scene.decided() };
    Ok(scene.done(desk, Answer::SetRole(answer)))
}
