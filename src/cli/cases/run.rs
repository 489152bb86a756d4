//! Runs one case on a service of its own.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use prost_reflect::prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor, ReflectMessage as _, Value};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::service::Routes;
use tonic::{Request as Call, Status};
use tonic_types::StatusExt as _;

use super::compare::{Comparison, Difference};
use super::coverage::Seen;
use super::expect::{Expectation, Expected};
use super::file::{Case, Step, put_in};
use super::readable::{Context, Tree, moment_text, tree};
use super::steps::{Lookup, lookups};
use super::words::{method, path_of};
use crate::app::rehearsal::{Play, Rehearsal};
use crate::domain::order::Currency;
use crate::domain::time::Instant;
use crate::program::document::Place;

/// How a case went.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) failure: Option<Failure>,
    pub(super) seen: Seen,
}

/// The first step at which a case went otherwise than it says.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) place: Place,
    pub(super) title: String,
    pub(super) at: String,
    /// What happened that should not have; empty when only expectations are missed.
    pub(super) message: String,
    pub(super) differences: Vec<Difference>,
}

struct Stage<'a> {
    rehearsal: Rehearsal,
    face: Routes,
    play: &'a Play,
    now: Instant,
    members: BTreeSet<String>,
    /// Whose order it is, and in which currency.
    orders: BTreeMap<String, (String, Currency)>,
    kept: BTreeMap<String, Tree>,
    requests: usize,
    seen: Seen,
}

/// What ends a case early.
enum Stop {
    /// The call was answered with an error; the reason in a word, if the service gave one.
    Status {
        reason: Option<String>,
        text: String,
    },
    Broken(String),
}

/// Runs a case.
pub(super) async fn run(case: &Case, play: &Play) -> Outcome {
    let zone = &play.program().zone;
    let first = case.steps.first();
    let failed = |step: Option<&Step>, at: Instant, message: String, differences: Vec<Difference>| Failure {
        place: step.map_or(case.place, |step| step.place),
        title: step.map_or_else(|| "the end".to_owned(), |step| step.title.clone()),
        at: moment_text(at, zone),
        message,
        differences,
    };
    let rehearsal = match Rehearsal::begin(play, case.begins).await {
        Ok(rehearsal) => rehearsal,
        Err(message) => {
            return Outcome { failure: Some(failed(first, case.begins, message, Vec::new())), seen: Seen::default() };
        }
    };
    let mut stage = Stage {
        face: rehearsal.face(),
        rehearsal,
        play,
        now: case.begins,
        members: BTreeSet::new(),
        orders: BTreeMap::new(),
        kept: BTreeMap::new(),
        requests: 0,
        seen: Seen::default(),
    };
    for step in &case.steps {
        let failure = match stage.step(step).await {
            Ok(differences) if differences.is_empty() => continue,
            Ok(differences) => failed(Some(step), step.at, String::new(), differences),
            Err(Stop::Status { text, .. }) => failed(Some(step), step.at, text, Vec::new()),
            Err(Stop::Broken(message)) => failed(Some(step), step.at, message, Vec::new()),
        };
        return Outcome { failure: Some(failure), seen: stage.seen };
    }
    let failure = match stage.close().await {
        Ok(()) => None,
        Err(Stop::Status { text: message, .. } | Stop::Broken(message)) => {
            Some(failed(None, stage.now, message, Vec::new()))
        }
    };
    Outcome { failure, seen: stage.seen }
}

impl Stage<'_> {
    fn zone(&self) -> &TimeZone {
        &self.play.program().zone
    }

    fn context(&self, order: Option<&str>, stated: Option<Currency>) -> Result<Context, Stop> {
        let known = order.and_then(|order| self.orders.get(order)).map(|(_, currency)| *currency);
        let first = self.play.program().currencies.first().copied();
        let currency = stated.or(known).or(first).ok_or_else(|| Stop::Broken("no currency".to_owned()))?;
        Ok(Context { currency, zone: self.zone().clone() })
    }

    async fn step(&mut self, step: &Step) -> Result<Vec<Difference>, Stop> {
        self.rehearsal.set(step.at);
        self.now = step.at;
        self.settle().await?;
        let mut answer = Tree::Nothing;
        let mut failed = None;
        if let Some((word, request)) = &step.call {
            if word.word != "enroll" && !request.member.is_empty() && !self.members.contains(&request.member) {
                self.enroll(&request.member).await?;
            }
            if !request.member.is_empty() {
                self.members.insert(request.member.clone());
            }
            let context = self.context(request.order.as_deref(), request.currency)?;
            if let Some(order) = &request.order {
                let owner = self.orders.get(order).map_or(&request.member, |(owner, _)| owner).clone();
                self.orders.insert(order.clone(), (owner, context.currency));
            }
            match self.call(&word.method, request.message.clone(), &context).await {
                Ok(found) => answer = found,
                Err(Stop::Status { reason, text }) => failed = Some((reason, text)),
                Err(stop) => return Err(stop),
            }
            self.seen.answer(&answer);
            if let Some(name) = &step.keeps {
                self.kept.insert(name.clone(), answer.clone());
            }
            self.settle().await?;
        }
        self.judge(&step.expectation, step.place, &answer, failed).await
    }

    /// A member whom nobody has enrolled joins when first named.
    async fn enroll(&mut self, member: &str) -> Result<(), Stop> {
        const ENROLL: &str = "MemberService/Enroll";
        let input = method(ENROLL).map(|method| method.input());
        let mut message = DynamicMessage::new(input.ok_or_else(|| Stop::Broken("no Enroll".to_owned()))?);
        message.set_field_by_name("member_id", Value::String(member.to_owned()));
        let context = self.context(None, None)?;
        let answer = self.call(ENROLL, message, &context).await?;
        self.members.insert(member.to_owned());
        self.seen.answer(&answer);
        Ok(())
    }

    async fn settle(&self) -> Result<(), Stop> {
        self.rehearsal.settle(self.now).await.map_err(Stop::Broken)
    }

    async fn call(&mut self, name: &str, mut message: DynamicMessage, context: &Context) -> Result<Tree, Stop> {
        let method = method(name).ok_or_else(|| Stop::Broken(format!("the contract has no {name}")))?;
        self.requests += 1;
        if let Some(field) = message.descriptor().get_field_by_name("request_id")
            && !message.has_field(&field)
        {
            message.set_field(&field, Value::String(format!("request-{}", self.requests)));
        }
        put_in(&mut message, &|reference| kept(&self.kept, reference)?.text().map(str::to_owned));
        let answer = send(&self.face, &method, message).await.map_err(|status| Stage::stop(&status))?;
        Ok(tree(&answer, context))
    }

    fn stop(status: &Status) -> Stop {
        let reason = status.get_details_error_info().map(|info| info.reason.to_lowercase());
        let text = format!("the call failed with {:?}: {}", status.code(), status.message());
        Stop::Status { reason, text }
    }

    async fn judge(
        &mut self,
        expectation: &Expectation,
        place: Place,
        answer: &Tree,
        failed: Option<(Option<String>, String)>,
    ) -> Result<Vec<Difference>, Stop> {
        match (&expectation.error, failed) {
            (None, None) => {}
            (None, Some((reason, text))) => return Err(Stop::Status { reason, text }),
            (Some((place, expected)), found) => {
                let actual = found.map(|(reason, text)| reason.unwrap_or(text));
                if actual.as_ref() != Some(expected) {
                    let actual = actual.unwrap_or_else(|| "an answer".to_owned());
                    let (path, expected) = ("error".to_owned(), expected.clone());
                    return Ok(vec![Difference { path, place: *place, expected, actual }]);
                }
            }
        }
        let mut differences = Vec::new();
        let refusals = answer.at("decision.refusals").or_else(|| answer.get("refusals"));
        if let Some(refusals) = refusals.filter(|refusals| !expectation.names_refusals && !refusals.is_nothing()) {
            differences.push(Difference {
                path: "refused".to_owned(),
                place,
                expected: "none (or say what: `refused: [...]`)".to_owned(),
                actual: refusals.line(self.zone()),
            });
        }
        for (path, name, expected) in &expectation.answer {
            let inside = path.iter().try_fold(answer, |tree, key| tree.get(key)).unwrap_or(&Tree::Nothing);
            let actual = inside.get(name).unwrap_or(&Tree::Nothing);
            let shown = if name == "refusals" { "refused" } else { name };
            differences.extend(self.compare(shown, expected, actual));
        }
        if let Some(expected) = &expectation.earned {
            differences.extend(self.compare("earned", expected, &earned(answer, expected)));
        }
        for (lookup, keys) in &expectation.lookups {
            for (key, expected) in keys {
                let actual = self.look_up(lookup, key).await?;
                differences.extend(self.compare(&format!("{}.{key}", lookup.word), expected, &actual));
            }
        }
        differences.sort_by_key(|difference| (difference.place.line, difference.place.column));
        Ok(differences)
    }

    fn compare(&self, path: &str, expected: &Expected, actual: &Tree) -> Vec<Difference> {
        let comparison = Comparison { zone: self.zone(), kept: &|reference| kept(&self.kept, reference).cloned() };
        comparison.differences(path, expected, actual)
    }

    async fn look_up(&mut self, lookup: &Lookup, key: &str) -> Result<Tree, Stop> {
        let mut key = key.to_owned();
        if let Some(found) = kept(&self.kept, &key).and_then(Tree::text) {
            key = found.to_owned();
        }
        if let Some((by, path)) = lookup.via {
            let answer = self.ask(by, "member_id", &key).await?;
            match raw_at(&answer, path) {
                Some(found) => key = found,
                None => return Ok(Tree::Nothing),
            }
        }
        if lookup.key == "order_id" && !self.orders.contains_key(&key) {
            return Ok(Tree::Nothing); // nobody has sent it
        }
        let context = self.context(Some(&key), None)?;
        let mut token = String::new();
        let mut found = Tree::Nothing;
        for _ in 0..PAGES_MAX {
            let answer = match self.ask_page(&lookup.method, &lookup.key, &key, &token).await {
                Err(Stop::Status { reason: Some(reason), .. }) if reason == "not_found" => return Ok(Tree::Nothing),
                answer => answer?,
            };
            token = raw_at(&answer, &["next_page_token"]).unwrap_or_default();
            let page = lookup.path.iter().try_fold(tree(&answer, &context), |tree, key| tree.get(key).cloned());
            found = match (found, page.unwrap_or(Tree::Nothing)) {
                (Tree::List(before), Tree::List(more)) => Tree::List(before.into_iter().chain(more).collect()),
                (_, page) => page,
            };
            if token.is_empty() {
                break;
            }
        }
        if lookup.word == "members" {
            self.seen.member(&found);
        }
        Ok(found)
    }

    async fn ask(&mut self, name: &str, field: &str, key: &str) -> Result<DynamicMessage, Stop> {
        self.ask_page(name, field, key, "").await
    }

    async fn ask_page(&mut self, name: &str, field: &str, key: &str, token: &str) -> Result<DynamicMessage, Stop> {
        let method = method(name).ok_or_else(|| Stop::Broken(format!("the contract has no {name}")))?;
        let mut message = DynamicMessage::new(method.input());
        if let Some((owner, _)) = self.orders.get(key)
            && field != "member_id"
            && message.descriptor().get_field_by_name("member_id").is_some()
        {
            message.set_field_by_name("member_id", Value::String(owner.clone()));
        }
        message.set_field_by_name(field, Value::String(key.to_owned()));
        if message.descriptor().get_field_by_name("page_size").is_some() {
            message.set_field_by_name("page_size", Value::I32(PAGE));
            message.set_field_by_name("page_token", Value::String(token.to_owned()));
        }
        send(&self.face, &method, message).await.map_err(|status| Stage::stop(&status))
    }

    /// Every ledger must add up, whatever a case expects; and what it tells counts as covered.
    async fn close(&mut self) -> Result<(), Stop> {
        for member in self.members.clone() {
            let proof = match self.ask("LedgerService/VerifyMember", "member_id", &member).await {
                // Was to be enrolled, and was not.
                Err(Stop::Status { reason: Some(reason), .. }) if reason == "not_found" => continue,
                proof => proof?,
            };
            let context = self.context(None, None)?;
            let proof = tree(&proof, &context);
            if proof.get("verified") != Some(&Tree::Flag(true)) {
                let faults = proof.get("faults").map(|faults| faults.line(self.zone())).unwrap_or_default();
                return Err(Stop::Broken(format!("the ledger of {member} does not verify: {faults}")));
            }
            let entries = lookups().iter().find(|lookup| lookup.word == "entries");
            if let Some(lookup) = entries {
                let entries = self.look_up(lookup, &member).await?;
                self.seen.entries(&entries);
            }
            let members = lookups().iter().find(|lookup| lookup.word == "members");
            if let Some(lookup) = members {
                self.look_up(lookup, &member).await?;
            }
        }
        Ok(())
    }
}

/// Items of one page, and most pages that are read.
const PAGE: i32 = 500;
const PAGES_MAX: usize = 100;

/// What an answer kept before holds: `$mias.code`.
fn kept<'k>(kept: &'k BTreeMap<String, Tree>, reference: &str) -> Option<&'k Tree> {
    let reference = reference.strip_prefix('$')?;
    match reference.split_once('.') {
        Some((name, path)) => kept.get(name)?.at(path),
        None => kept.get(reference),
    }
}

/// A text of an answer by the names of the contract.
fn raw_at(message: &DynamicMessage, path: &[&str]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let value = message.get_field_by_name(first)?;
    match rest {
        [] => value.as_str().filter(|text| !text.is_empty()).map(str::to_owned),
        rest => raw_at(value.as_message()?, rest),
    }
}

/// Units granted by the decision, by unit; those that are asked for are there, if only with 0.
fn earned(answer: &Tree, expected: &Expected) -> Tree {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    if let super::expect::What::Fields(fields) = &expected.what {
        sums.extend(fields.iter().map(|(unit, _)| (unit.clone(), 0)));
    }
    for effect in answer.at("decision.effects").map(Tree::items).unwrap_or_default() {
        let Some(granted) = effect.get("units_granted") else { continue };
        let unit = granted.get("unit").and_then(Tree::text).unwrap_or_default();
        if let Some(Tree::Whole(amount)) = granted.get("granted") {
            let sum = sums.entry(unit.to_owned()).or_default();
            *sum = sum.saturating_add(*amount);
        }
    }
    if sums.is_empty() {
        return Tree::Nothing;
    }
    Tree::Map(sums.into_iter().map(|(unit, sum)| (unit, Tree::Whole(sum))).collect())
}

/// Calls a method without a network between.
async fn send(face: &Routes, method: &MethodDescriptor, message: DynamicMessage) -> Result<DynamicMessage, Status> {
    let path = path_of(method).parse().map_err(|_| Status::internal("no such path"))?;
    let mut client = tonic::client::Grpc::new(face.clone()).max_decoding_message_size(ANSWER_BYTES_MAX);
    client.ready().await.map_err(|_| Status::internal("the service is not ready"))?;
    let codec = Dynamic { answer: method.output() };
    client.unary(Call::new(message), path, codec).await.map(tonic::Response::into_inner)
}

const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Messages by their description alone.
#[derive(Clone)]
struct Dynamic {
    answer: MessageDescriptor,
}

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Dynamic;
    type Decoder = Dynamic;

    fn encoder(&mut self) -> Dynamic {
        self.clone()
    }

    fn decoder(&mut self) -> Dynamic {
        self.clone()
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(into).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let answer = DynamicMessage::decode(self.answer.clone(), from);
        answer.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
