//! A span: a stretch of the time of a request, with what is known of it, in OpenTelemetry's terms.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::SystemTime;

/// Which span of which trace something belongs to. Neither number is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanContext {
    /// The trace: all spans of what a user has begun, in all services.
    pub(crate) trace: u128,
    /// The span.
    pub(crate) span: u64,
}

impl SpanContext {
    /// Makes the first span of a trace.
    pub(crate) fn root() -> Self {
        let trace = (u128::from(random()) << 64) | u128::from(random());
        Self { trace, span: random() }
    }

    /// Makes another span of the same trace.
    pub(crate) fn child(self) -> Self {
        Self { span: random(), ..self }
    }

    /// Reads the header `traceparent` of [W3C Trace Context](https://www.w3.org/TR/trace-context/):
    /// the caller's span, and whether its trace is recorded. Returns nothing where the header is not
    /// valid, as if it had not been sent.
    pub(crate) fn parse(header: &str) -> Option<(Self, bool)> {
        let mut parts = header.split('-');
        let mut hex = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            part.bytes().all(is_hex).then(|| u128::from_str_radix(part, 16).ok())?
        };
        let (version, trace, span, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        // Later versions may have more parts.
        let is_whole = version != 0 || parts.next().is_none();
        let context = Self { trace, span: span as u64 };
        (version != 0xff && is_whole && trace != 0 && span != 0)
            .then_some((context, flags & 1 == 1))
    }

    /// The same header for a trace that is recorded.
    pub(crate) fn header(self) -> String {
        format!("00-{:032x}-{:016x}-01", self.trace, self.span)
    }
}

/// A random number that is not 0. The keys of a hash map's hasher are random, and new ones each time.
fn random() -> u64 {
    RandomState::new().build_hasher().finish().max(1)
}

/// What a span is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanKind {
    /// A part of the work on a request.
    Internal = 1,
    /// A whole request.
    Server = 2,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
    Decimal(f64),
    Texts(Vec<String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Decimal(number)
    }
}

/// A span that has ended.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "nothing sends spans"))]
pub(crate) struct EndedSpan {
    pub(crate) context: SpanContext,
    /// The span of which this one is a part.
    pub(crate) parent: Option<u64>,
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) start: SystemTime,
    pub(crate) end: SystemTime,
    pub(crate) attributes: Vec<(&'static str, Value)>,
    /// Whether the service failed, not the client.
    pub(crate) failed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_name_their_span() {
        // The example of W3C's recommendation.
        let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = SpanContext {
            trace: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
            span: 0xb7ad_6b71_6920_3331,
        };
        assert_eq!(SpanContext::parse(header), Some((context, true)));
        assert_eq!(context.header(), header);
        let unsampled = header.replace("-01", "-00");
        assert_eq!(SpanContext::parse(&unsampled), Some((context, false)));
        let later = format!("cc{}-more", &header[2..]);
        assert_eq!(SpanContext::parse(&later), Some((context, true)));
        for wrong in [
            "",
            "00",
            &header.replace("00-", "ff-"),
            &format!("{header}-more"),
            &header.to_uppercase(),
            &header.replace("b7ad6b7169203331", "0000000000000000"),
            &header.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &header.replace("0af7", "+af7"),
            &header.replace("-01", "-1"),
        ] {
            assert_eq!(SpanContext::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn spans_of_a_trace_differ() {
        let (root, other) = (SpanContext::root(), SpanContext::root());
        let child = root.child();
        assert_ne!(root.trace, other.trace);
        assert_eq!(root.trace, child.trace);
        assert_ne!(root.span, child.span);
    }
}
