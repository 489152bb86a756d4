//! What is known of people, and who belongs to which account.

use super::super::answer::{Answer, Reason, Refusal, Subject, UpdateMemberAnswer};
use super::super::command::{ProfileChange, UpdateMember};
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
        desk.state.put_profile(member, profile)?;
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
    let answer = Answer::UpdateMember(UpdateMemberAnswer { updated: true, decided });
    Ok(scene.done(desk, answer))
}
