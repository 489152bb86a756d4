//! The way of the calls that shoppers wait for: to their service by its name, past the table of routes, which is made for the
//! many paths of web pages and takes some forty allocations a call.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::Either;
use tonic::body::Body;
use tower::{Layer, Service};

use super::Face;
use super::guard::Guarded;
use super::wire::checkout_service_server::{CheckoutServiceServer, SERVICE_NAME};

/// Takes calls of checkouts; what is around it gets all others.
#[derive(Clone)]
pub struct Shortcut(pub(super) Guarded<CheckoutServiceServer<Face>>);

impl<S> Layer<S> for Shortcut {
    type Service = Forked<S>;

    fn layer(&self, others: S) -> Forked<S> {
        Forked { checkout: self.0.clone(), others }
    }
}

/// Where the ways part.
#[derive(Clone)]
pub struct Forked<S> {
    checkout: Guarded<CheckoutServiceServer<Face>>,
    others: S,
}

type Answer = Result<http::Response<Body>, Infallible>;

impl<S> Service<http::Request<Body>> for Forked<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Either<Pin<Box<dyn Future<Output = Answer> + Send>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        ready!(self.checkout.poll_ready(context))?;
        self.others.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if is_of(SERVICE_NAME, request.uri().path()) {
            Either::Left(self.checkout.call(request))
        } else {
            Either::Right(self.others.call(request))
        }
    }
}

/// Whether a path (`/package.Service/Method`) is one of a service.
fn is_of(service: &str, path: &str) -> bool {
    path.strip_prefix('/').and_then(|path| path.strip_prefix(service)).is_some_and(|method| method.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_told_by_the_name_of_its_service() {
        for (path, expected) in [
            ("/guerdon.v1.CheckoutService/Commit", true),
            ("/guerdon.v1.CheckoutService/", true),
            ("/guerdon.v1.CheckoutService", false),
            ("/guerdon.v1.CheckoutServices/Commit", false),
            ("guerdon.v1.CheckoutService/Commit", false),
            ("/guerdon.v1.MemberService/Enroll", false),
            ("/", false),
            ("", false),
        ] {
            assert_eq!(is_of(SERVICE_NAME, path), expected, "{path}");
        }
    }
}
