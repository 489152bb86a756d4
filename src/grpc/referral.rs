//! Who brought whom.

use tonic::{Request, Response};

use super::request::{self, Envelope};
use super::response::{figures, referrals};
use super::violations::{Path, Violations, read, shortened};
use super::wire::{self, referral_service_server::ReferralService};
use super::{Face, Reply, fingerprints, status, trace};
use crate::domain::answer::{Answer, ReferralView};
use crate::domain::command::{Attribute, Command, CreateCode, RecordTouch, ReviewReward, Sides, UpdateCode};
use crate::domain::id::{CampaignId, Code, Label, MemberId, ProgramId, ReferralId};
use crate::domain::referral::code;
use crate::domain::referral::touch::TouchKind;
use crate::domain::time::Instant;
use crate::service::{Calls, Referrals, Tree, Write};

pub(super) const METHODS: &[&str] = &[
    "guerdon.v1.ReferralService/CreateCode",
    "guerdon.v1.ReferralService/Attribute",
    "guerdon.v1.ReferralService/GetReferral",
    "guerdon.v1.ReferralService/UpdateCode",
    "guerdon.v1.ReferralService/GetCode",
    "guerdon.v1.ReferralService/RecordTouch",
    "guerdon.v1.ReferralService/ExplainAttribution",
    "guerdon.v1.ReferralService/ReviewReward",
    "guerdon.v1.ReferralService/ListReviews",
    "guerdon.v1.ReferralService/ListReferrals",
    "guerdon.v1.ReferralService/GetReferralTree",
    "guerdon.v1.ReferralService/GetStats",
    "guerdon.v1.ReferralService/VerifyStats",
];

#[tonic::async_trait]
impl ReferralService for Face {
    async fn create_code(&self, raw: Request<wire::CreateCodeRequest>) -> Reply<wire::CreateCodeResponse> {
        let write = read(|bad| create_code(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::CreateCode(answer) => Some(referrals::create_code(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn attribute(&self, raw: Request<wire::AttributeRequest>) -> Reply<wire::AttributeResponse> {
        let write = read(|bad| attribute(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Attribute(answer) => Some(referrals::attribute(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn update_code(&self, raw: Request<wire::UpdateCodeRequest>) -> Reply<wire::UpdateCodeResponse> {
        let write = read(|bad| update_code(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::UpdateCode(answer) => Some(referrals::update_code(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn get_code(&self, raw: Request<wire::GetCodeRequest>) -> Reply<wire::GetCodeResponse> {
        let asked = read(|bad| get_code(bad, &*self.calls, raw.get_ref()));
        let (program, code) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let view = self.calls.code(&program, &code).await.map_err(|error| status::of(&error))?;
        Ok(Response::new(referrals::code(view)))
    }

    async fn list_referrals(&self, raw: Request<wire::ListReferralsRequest>) -> Reply<wire::ListReferralsResponse> {
        let asked = read(|bad| list_referrals(bad, &*self.calls, raw.get_ref()));
        let (program, member, asked) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let page = self.calls.referrals(&program, &member, &asked).await;
        let (views, token) = page.map_err(|error| status::of(&error))?;
        let referrals = views.into_iter().map(referrals::referral).collect();
        Ok(Response::new(wire::ListReferralsResponse { referrals, next_page_token: token.unwrap_or_default() }))
    }

    async fn get_referral_tree(
        &self,
        raw: Request<wire::GetReferralTreeRequest>,
    ) -> Reply<wire::GetReferralTreeResponse> {
        let asked = read(|bad| get_referral_tree(bad, &*self.calls, raw.get_ref()));
        let (program, member, asked) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let page = self.calls.referral_tree(&program, &member, &asked).await.map_err(|error| status::of(&error))?;
        Ok(Response::new(referrals::tree(page)))
    }

    async fn get_stats(&self, raw: Request<wire::GetStatsRequest>) -> Reply<wire::GetStatsResponse> {
        let asked = read(|bad| get_stats(bad, &*self.calls, raw.get_ref()));
        let (program, at, months) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let view = self.calls.stats(&program, at, months).await.map_err(|error| status::of(&error))?;
        Ok(Response::new(figures::stats(view)))
    }

    async fn verify_stats(&self, raw: Request<wire::VerifyStatsRequest>) -> Reply<wire::VerifyStatsResponse> {
        let wire::VerifyStatsRequest { program_id, page_token } = raw.get_ref();
        let asked = read(|bad| {
            let program = request::program(bad, &*self.calls, program_id);
            let from = match page_token.as_str() {
                "" => Some(0),
                token => {
                    bad.take(&Path::Of("page_token"), token.parse::<u16>().map_err(|_| "is none that this method gave"))
                }
            };
            Some((program?, from?))
        });
        let (program, from) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let proof = self.calls.verify_stats(&program, from).await.map_err(|error| status::of(&error))?;
        Ok(Response::new(figures::proof(proof)))
    }

    async fn get_referral(&self, raw: Request<wire::GetReferralRequest>) -> Reply<wire::GetReferralResponse> {
        let asked = read(|bad| get_referral(bad, &*self.calls, raw.get_ref()));
        let (program, referral) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let view = self.calls.referral(&program, &referral).await.map_err(|error| status::of(&error))?;
        Ok(Response::new(wire::GetReferralResponse { referral: Some(referrals::referral(view)) }))
    }

    async fn record_touch(&self, raw: Request<wire::RecordTouchRequest>) -> Reply<wire::RecordTouchResponse> {
        let write = read(|bad| record_touch(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Touch(answer) => Some(referrals::touch(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn explain_attribution(
        &self,
        raw: Request<wire::ExplainAttributionRequest>,
    ) -> Reply<wire::ExplainAttributionResponse> {
        let wire::ExplainAttributionRequest { program_id, member_id } = raw.get_ref();
        let asked = read(|bad| {
            let program = request::program(bad, &*self.calls, program_id);
            let member = bad.take(&Path::Of("member_id"), MemberId::parse(member_id));
            Some((program?, member?))
        });
        let (program, member) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let views = self.calls.weighings(&program, &member).await.map_err(|error| status::of(&error))?;
        let attempts = views.into_iter().map(referrals::attempt).collect();
        Ok(Response::new(wire::ExplainAttributionResponse { attempts }))
    }

    async fn review_reward(&self, raw: Request<wire::ReviewRewardRequest>) -> Reply<wire::ReviewRewardResponse> {
        let write = read(|bad| review_reward(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::ReviewReward(answer) => Some(referrals::review_reward(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn list_reviews(&self, raw: Request<wire::ListReviewsRequest>) -> Reply<wire::ListReviewsResponse> {
        let asked = read(|bad| list_reviews(bad, &*self.calls, raw.get_ref()));
        let ReviewsAsked { program, after, limit } = asked.map_err(status::of_violations)?;
        trace(&program, None);
        // One more tells whether there is another page.
        let views = self.calls.reviews(&program, after, limit.saturating_add(1)).await;
        let mut views = views.map_err(|error| status::of(&error))?;
        let more = limit < views.len();
        views.truncate(limit);
        let next_page_token = views.last().filter(|_| more).and_then(place_of).unwrap_or_default();
        let referrals = views.into_iter().map(referrals::referral).collect();
        Ok(Response::new(wire::ListReviewsResponse { referrals, next_page_token }))
    }
}

/// Where a page ends: when its last review lapses, and of which referral it is.
fn place_of(view: &ReferralView) -> Option<String> {
    let due_at = view.referral.review.as_ref()?.due_at;
    Some(format!("{}:{}", due_at.0, view.referral.referral))
}

/// A page of the queue of reviews.
struct ReviewsAsked {
    program: ProgramId,
    /// Where the page before ended.
    after: Option<(Instant, ReferralId)>,
    limit: usize,
}

fn list_reviews(bad: &mut Violations, calls: &dyn Calls, raw: &wire::ListReviewsRequest) -> Option<ReviewsAsked> {
    const PAGE_SIZE_DEFAULT: usize = 50;
    let program = request::program(bad, calls, &raw.program_id);
    let size = request::number(bad, &Path::Of("page_size"), i64::from(raw.page_size), 0..=REVIEWS_PAGE_MAX);
    let limit = size.and_then(|size| usize::try_from(size).ok());
    let after = match raw.page_token.as_str() {
        "" => Some(None),
        token => {
            let place = token.split_once(':').and_then(|(due_at, referral)| {
                Some((Instant(due_at.parse().ok()?), ReferralId::parse(referral).ok()?))
            });
            bad.take(&Path::Of("page_token"), place.ok_or("is none that this method gave")).map(Some)
        }
    };
    let limit = limit.map(|limit| if limit == 0 { PAGE_SIZE_DEFAULT } else { limit });
    Some(ReviewsAsked { program: program?, after: after?, limit: limit? })
}

fn review_reward(bad: &mut Violations, calls: &dyn Calls, raw: &wire::ReviewRewardRequest) -> Option<Write> {
    let wire::ReviewRewardRequest { program_id, member_id, request_id, .. } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, None);
    let referral = bad.take(&Path::Of("referral_id"), ReferralId::parse(&raw.referral_id));
    let sides = request::known(bad, &Path::Of("side"), raw.side).map(|side| match side {
        wire::ReferralSide::Unspecified => Sides::BOTH,
        wire::ReferralSide::Advocate => Sides { friend: false, advocate: true },
        wire::ReferralSide::Friend => Sides { friend: true, advocate: false },
    });
    let verdict_at = Path::Of("verdict");
    let approve = match request::known(bad, &verdict_at, raw.verdict) {
        Some(wire::ReviewVerdict::Approve) => Some(true),
        Some(wire::ReviewVerdict::Reject) => Some(false),
        Some(wire::ReviewVerdict::Unspecified) => {
            bad.add(&verdict_at, "is required");
            None
        }
        None => None,
    };
    let agent = request::agent(bad, &raw.agent_id);
    let reason = bad.take(&Path::Of("reason_code"), Label::parse(&raw.reason_code));
    let review = ReviewReward {
        referral: referral?,
        sides: sides?,
        approve: approve?,
        forced: raw.force,
        agent: agent?,
        reason: reason?,
    };
    Some(envelope?.write(fingerprints::review_reward(raw), Command::ReviewReward(review)))
}

fn record_touch(bad: &mut Violations, calls: &dyn Calls, raw: &wire::RecordTouchRequest) -> Option<Write> {
    let wire::RecordTouchRequest { program_id, visitor_id, request_id, occurred_at, .. } = raw;
    let envelope = Envelope::of_visitor(bad, calls, program_id, visitor_id, request_id, occurred_at.as_ref());
    let kind_at = Path::Of("kind");
    let kind = match request::known(bad, &kind_at, raw.kind) {
        Some(wire::TouchKind::Click) => Some(TouchKind::Click),
        Some(wire::TouchKind::Scan) => Some(TouchKind::Scan),
        Some(wire::TouchKind::Share) => Some(TouchKind::Share),
        Some(wire::TouchKind::Invite) => Some(TouchKind::Invite),
        Some(wire::TouchKind::Unspecified) => {
            bad.add(&kind_at, "is required");
            None
        }
        None => None,
    };
    let code = request::entered_code(bad, &Path::Of("code"), &raw.code);
    let channel = request::optional(bad, &Path::Of("channel"), &raw.channel, Label::parse);
    let source = request::optional(bad, &Path::Of("source"), &raw.source, Label::parse);
    let max = RecordTouch::USER_AGENT_BYTES_MAX;
    if max < raw.user_agent.len() {
        bad.add(&Path::Of("user_agent"), format!("is {} bytes long, at most {max} are allowed", raw.user_agent.len()));
    }
    let (envelope, visitor) = envelope?;
    let record = RecordTouch {
        visitor,
        kind: kind?,
        code: code?,
        channel: channel?,
        source: source?,
        user_agent: raw.user_agent.clone(),
    };
    Some(envelope.write(fingerprints::record_touch(raw), Command::RecordTouch(record)))
}

fn create_code(bad: &mut Violations, calls: &dyn Calls, raw: &wire::CreateCodeRequest) -> Option<Write> {
    let wire::CreateCodeRequest { program_id, member_id, request_id, occurred_at, .. } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let campaign = request::optional(bad, &Path::Of("campaign_id"), &raw.campaign_id, CampaignId::parse);
    let vanity = match raw.vanity.as_str() {
        "" => Some(None),
        raw => {
            let problem = || format!("is {}, must be 4 to 24 letters and digits", shortened(raw));
            let code = Some(raw).filter(|raw| raw.len() <= request::CODE_BYTES_MAX).and_then(code::read);
            bad.take(&Path::Of("vanity"), code.ok_or_else(problem)).map(Some)
        }
    };
    let label = request::optional(bad, &Path::Of("label"), &raw.label, Label::parse);
    let expires_at = request::instant(bad, &Path::Of("expires_at"), raw.expires_at.as_ref());
    let uses_max = request::number(bad, &Path::Of("uses_max"), raw.uses_max, 0..=i64::MAX);
    let create_code = CreateCode {
        campaign: campaign?,
        vanity: vanity?,
        label: label?,
        expires_at: expires_at?,
        uses_max: uses_max.map(|max| Some(max).filter(|max| 0 < *max))?,
    };
    Some(envelope?.write(fingerprints::create_code(raw), Command::CreateCode(create_code)))
}

fn attribute(bad: &mut Violations, calls: &dyn Calls, raw: &wire::AttributeRequest) -> Option<Write> {
    let wire::AttributeRequest { program_id, member_id, request_id, code, occurred_at, agent_id, signals } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let code = request::entered_code(bad, &Path::Of("code"), code);
    let agent = request::agent_if_any(bad, agent_id);
    let signals = request::signals(bad, signals.as_ref());
    let attribute = Attribute { code: code?, agent: agent?, signals: signals? };
    Some(envelope?.write(fingerprints::attribute(raw), Command::Attribute(attribute)))
}

fn update_code(bad: &mut Violations, calls: &dyn Calls, raw: &wire::UpdateCodeRequest) -> Option<Write> {
    let wire::UpdateCodeRequest { program_id, member_id, request_id, code, occurred_at, agent_id, .. } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let code = request::entered_code(bad, &Path::Of("code"), code);
    let agent = request::agent(bad, agent_id);
    let blocked = match request::known(bad, &Path::Of("state"), raw.state) {
        Some(wire::CodeState::Active) => Some(false),
        Some(wire::CodeState::Blocked) => Some(true),
        Some(wire::CodeState::Erased | wire::CodeState::Unspecified) => {
            bad.add(&Path::Of("state"), "must be CODE_STATE_ACTIVE or CODE_STATE_BLOCKED");
            None
        }
        None => None,
    };
    let update = UpdateCode { code: code?, blocked: blocked?, agent: agent? };
    Some(envelope?.write(fingerprints::update_code(raw), Command::UpdateCode(update)))
}

fn get_code(bad: &mut Violations, calls: &dyn Calls, raw: &wire::GetCodeRequest) -> Option<(ProgramId, Code)> {
    let program = request::program(bad, calls, &raw.program_id);
    let code = Some(raw.code.as_str()).filter(|raw| raw.len() <= request::CODE_BYTES_MAX).and_then(code::read);
    let problem = || format!("is {}, must be 4 to 24 letters and digits", shortened(&raw.code));
    Some((program?, bad.take(&Path::Of("code"), code.ok_or_else(problem))?))
}

/// How far below the member unless the caller says otherwise, and how far at most.
const DEPTH_DEFAULT: i64 = 3;
pub(super) const DEPTH_MAX: i64 = 8;
/// Friends on a page unless the caller says otherwise, and at most.
const TREE_PAGE_DEFAULT: i64 = 100;
pub(super) const TREE_PAGE_MAX: i64 = 500;
/// On a page of the queue of reviews.
pub(super) const REVIEWS_PAGE_MAX: i64 = 200;
/// Friends of one advocate on a page.
pub(super) const REFERRALS_PAGE_MAX: i64 = 200;
/// Months of figures at a time, a year: each is read from every partition.
pub(super) const MONTHS_MAX: i64 = 12;
/// A token names a position in each of the lists on the way.
const TREE_TOKEN_BYTES_MAX: usize = 4_096;

fn get_referral_tree(
    bad: &mut Violations,
    calls: &dyn Calls,
    raw: &wire::GetReferralTreeRequest,
) -> Option<(ProgramId, MemberId, Tree)> {
    let wire::GetReferralTreeRequest { program_id, member_id, depth, page_size, page_token } = raw;
    let program = request::program(bad, calls, program_id);
    let member = bad.take(&Path::Of("member_id"), MemberId::parse(member_id));
    let or = |stated: i64, default: i64| usize::try_from(if stated == 0 { default } else { stated }).ok();
    let depth = request::number(bad, &Path::Of("depth"), i64::from(*depth), 0..=DEPTH_MAX);
    let limit = request::number(bad, &Path::Of("page_size"), i64::from(*page_size), 0..=TREE_PAGE_MAX);
    if TREE_TOKEN_BYTES_MAX < page_token.len() {
        bad.add(&Path::Of("page_token"), "is not one that an answer gave");
    }
    let token = Some(page_token.clone()).filter(|token| !token.is_empty());
    let asked = Tree { depth: or(depth?, DEPTH_DEFAULT)?, limit: or(limit?, TREE_PAGE_DEFAULT)?, token };
    Some((program?, member?, asked))
}

fn list_referrals(
    bad: &mut Violations,
    calls: &dyn Calls,
    raw: &wire::ListReferralsRequest,
) -> Option<(ProgramId, MemberId, Referrals)> {
    const PAGE_SIZE_DEFAULT: i64 = 50;
    let wire::ListReferralsRequest { program_id, member_id, page_size, page_token, newest_first } = raw;
    let program = request::program(bad, calls, program_id);
    let member = bad.take(&Path::Of("member_id"), MemberId::parse(member_id));
    let limit = request::number(bad, &Path::Of("page_size"), i64::from(*page_size), 0..=REFERRALS_PAGE_MAX);
    if TREE_TOKEN_BYTES_MAX < page_token.len() {
        bad.add(&Path::Of("page_token"), "is not one that an answer gave");
    }
    let token = Some(page_token.clone()).filter(|token| !token.is_empty());
    let limit = limit.map(|limit| if limit == 0 { PAGE_SIZE_DEFAULT } else { limit });
    let asked = Referrals { newest_first: *newest_first, limit: usize::try_from(limit?).ok()?, token };
    Some((program?, member?, asked))
}

fn get_stats(
    bad: &mut Violations,
    calls: &dyn Calls,
    raw: &wire::GetStatsRequest,
) -> Option<(ProgramId, Option<Instant>, usize)> {
    let program = request::program(bad, calls, &raw.program_id);
    let at = request::instant(bad, &Path::Of("at"), raw.at.as_ref());
    let months = request::number(bad, &Path::Of("months"), i64::from(raw.months), 0..=MONTHS_MAX);
    Some((program?, at?, usize::try_from(months?.max(1)).ok()?))
}

fn get_referral(
    bad: &mut Violations,
    calls: &dyn Calls,
    raw: &wire::GetReferralRequest,
) -> Option<(ProgramId, ReferralId)> {
    let program = request::program(bad, calls, &raw.program_id);
    let referral = bad.take(&Path::Of("referral_id"), ReferralId::parse(&raw.referral_id));
    Some((program?, referral?))
}
