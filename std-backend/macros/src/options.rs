//! What stands between the parentheses of the attribute.

use proc_macro2::Span;
use syn::{
    Error, Ident, Lit, LitBool, LitInt, LitStr, Path, Result, Token,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    parse_quote,
};

/// Which of the two attributes is expanded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    Main,
    Test,
}

impl Role {
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Self::Main => "#[jenny::main]",
            Self::Test => "#[jenny::test]",
        }
    }

    fn default_flavor(self) -> Flavor {
        match self {
            Self::Main => Flavor::MultiThread,
            Self::Test => Flavor::CurrentThread,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flavor {
    MultiThread,
    CurrentThread,
    Local,
}

impl Flavor {
    const ALL: [Self; 3] = [Self::MultiThread, Self::CurrentThread, Self::Local];

    fn name(self) -> &'static str {
        match self {
            Self::MultiThread => "multi_thread",
            Self::CurrentThread => "current_thread",
            Self::Local => "local",
        }
    }
}

/// Validated options, ready to be expanded.
pub(crate) struct Options {
    pub(crate) jenny: Path,
    pub(crate) flavor: Flavor,
    pub(crate) worker_threads: Option<LitInt>,
    pub(crate) start_paused: Option<LitBool>,
    /// The variant of `runtime::UnhandledPanic`.
    pub(crate) unhandled_panic: Option<Ident>,
    pub(crate) name: Option<LitStr>,
}

impl Options {
    /// Makes sure that the flavor offers what is asked of it.
    pub(crate) fn new(role: Role, given: Given) -> Result<Self> {
        let flavor = given.flavor.unwrap_or((role.default_flavor(), Span::call_site()));
        let needs = |option: &str, span: Span, offers: &[Flavor]| {
            if offers.contains(&flavor.0) {
                return Ok(());
            }
            let default = if given.flavor.is_none() { ", the default here" } else { "" };
            let message = format!(
                "`{option}` does not apply to the flavor `{}`{default}: write `flavor = \"{}\"`, or remove `{option}`",
                flavor.0.name(),
                offers[0].name(),
            );
            Err(Error::new(span, message))
        };
        if let Some(threads) = &given.worker_threads {
            needs("worker_threads", threads.span(), &[Flavor::MultiThread])?;
        }
        let on_one_thread = [Flavor::CurrentThread, Flavor::Local];
        if let Some(paused) = &given.start_paused {
            needs("start_paused", paused.span(), &on_one_thread)?;
            if !cfg!(feature = "time") {
                return Err(Error::new(
                    paused.span(),
                    "`start_paused` needs jenny's feature `time`: enable it, or remove \
                     `start_paused`",
                ));
            }
        }
        if let Some(policy) = &given.unhandled_panic {
            needs("unhandled_panic", policy.span(), &on_one_thread)?;
        }
        if flavor.0 == Flavor::MultiThread && !cfg!(feature = "rt-multi-thread") {
            return Err(Error::new(
                flavor.1,
                "the flavor `multi_thread` needs jenny's feature `rt-multi-thread`: \
                 enable it, or write `flavor = \"current_thread\"`",
            ));
        }
        Ok(Self {
            jenny: given.jenny.unwrap_or_else(|| parse_quote!(::jenny)),
            flavor: flavor.0,
            worker_threads: given.worker_threads,
            start_paused: given.start_paused,
            unhandled_panic: given.unhandled_panic,
            name: given.name,
        })
    }
}

/// The options as they are written, each valid by itself.
#[derive(Default)]
pub(crate) struct Given {
    jenny: Option<Path>,
    flavor: Option<(Flavor, Span)>,
    worker_threads: Option<LitInt>,
    start_paused: Option<LitBool>,
    unhandled_panic: Option<Ident>,
    name: Option<LitStr>,
}

impl Parse for Given {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut given = Self::default();
        while !input.is_empty() {
            let option = Ident::parse_any(input)?;
            given.option(&option, input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(given)
    }
}

impl Given {
    fn option(&mut self, option: &Ident, input: ParseStream<'_>) -> Result<()> {
        match option.to_string().as_str() {
            "flavor" => set(&mut self.flavor, option, flavor(value(option, input)?)?),
            "worker_threads" => {
                set(&mut self.worker_threads, option, thread_count(value(option, input)?)?)
            }
            "start_paused" => set(&mut self.start_paused, option, value(option, input)?),
            "unhandled_panic" => {
                set(&mut self.unhandled_panic, option, panic_policy(value(option, input)?)?)
            }
            "name" => set(&mut self.name, option, value(option, input)?),
            "crate" => set(&mut self.jenny, option, path(value(option, input)?)?),
            unknown => Err(Error::new(
                option.span(),
                format!(
                    "no such option: `{unknown}`; there are `flavor`, `worker_threads`, \
                     `start_paused`, `unhandled_panic`, `name` and `crate`"
                ),
            )),
        }
    }
}

fn set<T>(place: &mut Option<T>, option: &Ident, value: T) -> Result<()> {
    if place.replace(value).is_some() {
        return Err(Error::new(option.span(), format!("`{option}` is given twice")));
    }
    Ok(())
}

/// A literal of the kind that an option takes.
trait Value: Sized {
    const WHAT: &str;
    fn from_literal(literal: Lit) -> Option<Self>;
}

macro_rules! value {
    ($literal:ident, $variant:ident, $what:literal) => {
        impl Value for $literal {
            const WHAT: &str = $what;

            fn from_literal(literal: Lit) -> Option<Self> {
                match literal {
                    Lit::$variant(value) => Some(value),
                    _ => None,
                }
            }
        }
    };
}

value!(LitStr, Str, "a string");
value!(LitInt, Int, "a whole number");
value!(LitBool, Bool, "`true` or `false`");

/// Reads `= literal`.
fn value<V: Value>(option: &Ident, input: ParseStream<'_>) -> Result<V> {
    let wrong = |span| Error::new(span, format!("`{option}` takes {}", V::WHAT));
    if !input.peek(Token![=]) {
        return Err(wrong(option.span()));
    }
    input.parse::<Token![=]>()?;
    let literal: Lit = input.parse().map_err(|error| wrong(error.span()))?;
    let span = literal.span();
    V::from_literal(literal).ok_or_else(|| wrong(span))
}

fn flavor(text: LitStr) -> Result<(Flavor, Span)> {
    let name = text.value();
    let flavor = Flavor::ALL.into_iter().find(|flavor| flavor.name() == name);
    flavor.map(|flavor| (flavor, text.span())).ok_or_else(|| {
        Error::new(
            text.span(),
            format!(
                "no such flavor: `{name}`; there are `multi_thread`, `current_thread` and `local`"
            ),
        )
    })
}

fn path(text: LitStr) -> Result<Path> {
    text.parse().map_err(|_| Error::new(text.span(), "`crate` takes a path, such as \"::jenny\""))
}

fn thread_count(count: LitInt) -> Result<LitInt> {
    match count.base10_parse::<usize>()? {
        0 => Err(Error::new(count.span(), "a runtime needs at least one worker thread")),
        _ => Ok(count),
    }
}

fn panic_policy(text: LitStr) -> Result<Ident> {
    let variant = match text.value().as_str() {
        "ignore" => "Ignore",
        "shutdown_runtime" => "ShutdownRuntime",
        unknown => {
            return Err(Error::new(
                text.span(),
                format!("no such policy: `{unknown}`; there are `ignore` and `shutdown_runtime`"),
            ));
        }
    };
    Ok(Ident::new(variant, text.span()))
}
