//! Who may call what: credentials, roles, programs, rates. Nobody is let in by default.

mod file;
mod key;
mod methods;
mod rate;
mod token;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

pub use file::{Credentials, Faults};
pub use key::{ApiKey, KeyHash};
pub use methods::{METHODS, Method, method, named};
use rate::Limiter;
pub use rate::Rate;

use crate::domain::id::{Label, ProgramId};

/// What a caller is there for. A credential has one or more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// A shop's services: orders, what members see of themselves, what they do.
    Checkout,
    /// People who help members: looking up, explaining, correcting.
    Support,
    /// Who writes the program.
    ProgramOwner,
    /// Reads, and changes nothing.
    Analyst,
    /// Everything, erasure and the audit included.
    Admin,
}

impl Role {
    pub const ALL: [Role; 5] = [Role::Checkout, Role::Support, Role::ProgramOwner, Role::Analyst, Role::Admin];

    /// As it is written in credentials.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Checkout => "checkout",
            Role::Support => "support",
            Role::ProgramOwner => "program_owner",
            Role::Analyst => "analyst",
            Role::Admin => "admin",
        }
    }

    pub fn parse(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// Which programs a credential is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Programs {
    /// Written `["*"]`.
    Every,
    /// At least one.
    Only(Vec<ProgramId>),
}

impl Programs {
    pub fn hold(&self, program: &ProgramId) -> bool {
        match self {
            Programs::Every => true,
            Programs::Only(programs) => programs.contains(program),
        }
    }

    /// Whether all of `others` are among these.
    fn cover(&self, others: &Programs) -> bool {
        match (self, others) {
            (Programs::Every, _) => true,
            (Programs::Only(_), Programs::Every) => false,
            (Programs::Only(_), Programs::Only(others)) => others.iter().all(|program| self.hold(program)),
        }
    }
}

/// Who is behind a call, and what they may do.
#[derive(Clone, Debug)]
pub struct Principal {
    /// For the audit and the log; no secret.
    name: Box<str>,
    roles: Vec<Role>,
    programs: Programs,
    /// Who acts, where the credential belongs to one agent; else the caller names them.
    agent: Option<Label>,
    limiter: Option<Arc<Limiter>>,
}

impl Principal {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    pub fn agent(&self) -> Option<&Label> {
        self.agent.as_ref()
    }

    /// How often it may call; `None`: as often as it likes.
    pub fn rate(&self) -> Option<Rate> {
        self.limiter.as_ref().map(|limiter| limiter.rate())
    }

    /// Whether it may decide over members as people do, not as a shop's services do.
    pub fn corrects(&self) -> bool {
        self.roles.iter().any(|role| methods::CORRECTIONS.contains(role))
    }

    fn may(&self, method: &Method) -> bool {
        let has_role = self.roles.iter().any(|role| method.roles.contains(role));
        has_role && (!method.whole_deployment || self.programs == Programs::Every)
    }
}

/// What came with a call to show who it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'a> {
    pub bearer: Bearer<'a>,
    /// The client's own certificate (DER), if the connection has one that its authority vouches for.
    pub certificate: Option<&'a [u8]>,
}

/// The `authorization` header.
#[derive(Clone, Copy, Default)]
pub enum Bearer<'a> {
    #[default]
    None,
    /// What follows `Bearer `.
    Text(&'a str),
    /// There is one, but it is not of that kind, or there are several.
    Unreadable,
}

impl fmt::Debug for Bearer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bearer::None => "None",
            Bearer::Text(_) => "Text(secret)",
            Bearer::Unreadable => "Unreadable",
        })
    }
}

/// Why a call is not let in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Denied {
    /// Nothing that shows who calls.
    NoCredential,
    /// What came is not accepted. Which of the reasons it was is for nobody to learn by trying.
    NotAccepted,
    /// Known, and not allowed to.
    NotAllowed { method: &'static Method },
    /// Too many calls with this credential.
    TooOften { retry: Duration },
}

/// Lets calls in, or not.
pub struct Access(Mode);

enum Mode {
    /// Everybody may do everything.
    Development(Arc<Principal>),
    Credentials(RwLock<Arc<Credentials>>),
}

impl Access {
    /// Everybody may do everything: for development on one's own machine, for replays and for tests.
    pub fn development() -> Access {
        Access(Mode::Development(Arc::new(Principal {
            name: "development".into(),
            roles: Role::ALL.to_vec(),
            programs: Programs::Every,
            agent: None,
            limiter: None,
        })))
    }

    pub fn of(credentials: Credentials) -> Access {
        Access(Mode::Credentials(RwLock::new(Arc::new(credentials))))
    }

    /// Goes by other credentials from now on. Calls that have been let in go on; what was used of a rate that stays
    /// the same stays used.
    pub fn replace(&self, credentials: Credentials) {
        let Mode::Credentials(current) = &self.0 else { return };
        let mut current = current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(credentials.with_rates_of(&current));
    }

    /// Who calls, if they may call this method now; `None`: it is none of the contract.
    pub fn admit(&self, method: Option<&'static Method>, presented: Presented<'_>) -> Result<Arc<Principal>, Denied> {
        let principal = match &self.0 {
            Mode::Development(principal) => Arc::clone(principal),
            Mode::Credentials(credentials) => {
                let credentials = Arc::clone(&credentials.read().unwrap_or_else(PoisonError::into_inner));
                credentials.principal(presented)?
            }
        };
        if let Some(limiter) = &principal.limiter {
            limiter.take().map_err(|retry| Denied::TooOften { retry })?;
        }
        match method {
            Some(method) if !principal.may(method) => Err(Denied::NotAllowed { method }),
            _ => Ok(principal),
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

/// A call that was let in.
#[derive(Clone, Debug)]
pub struct Caller {
    pub principal: Arc<Principal>,
    /// `None`: none of the contract, which is told so.
    pub method: Option<&'static Method>,
}

tokio::task_local! {
    static CALLER: Caller;
}

/// Works on a call in the name of `caller`.
pub fn as_caller<F: Future>(caller: Caller, work: F) -> impl Future<Output = F::Output> {
    CALLER.scope(caller, work)
}

/// In whose name the work at hand is done.
pub fn caller() -> Option<Caller> {
    CALLER.try_with(Clone::clone).ok()
}
