//! The function that takes the place of the user's.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Attribute, Error, Result, ReturnType, Signature, Type, Visibility,
    parse::{Parse, ParseStream},
};

use crate::options::{Flavor, Given, Options, Role};

/// Expands an attribute. After an error the user's function stays, without `async`, so that the
/// only thing the compiler reports is the error.
pub(crate) fn attribute(role: Role, options: TokenStream, function: TokenStream) -> TokenStream {
    let mut function = match syn::parse2::<Function>(function.clone()) {
        Ok(function) => function,
        Err(error) => return [error.to_compile_error(), function].into_iter().collect(),
    };
    let options = syn::parse2::<Given>(options).and_then(|given| Options::new(role, given));
    let checked = options.and_then(|options| {
        function.check(role)?;
        Ok(options)
    });
    match checked {
        Ok(options) => function.expand(role, &options),
        Err(error) => {
            function.signature.asyncness = None;
            let Function { attributes, visibility, signature, .. } = &function;
            let error = error.to_compile_error();
            quote! {
                #error
                #(#attributes)*
                #[allow(unused)]
                #visibility #signature { ::core::unreachable!() }
            }
        }
    }
}

/// An `async fn` whose body is left to the compiler, which reports its errors best.
struct Function {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    signature: Signature,
    body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        Ok(Self {
            attributes: input.call(Attribute::parse_outer)?,
            visibility: input.parse()?,
            signature: input.parse()?,
            body: match input.parse()? {
                TokenTree::Group(body) => body,
                other => return Err(Error::new(other.span(), "expected the function's body")),
            },
        })
    }
}

impl Function {
    fn check(&self, role: Role) -> Result<()> {
        let Signature { fn_token, asyncness, ident, inputs, .. } = &self.signature;
        let attribute = role.attribute();
        if asyncness.is_none() {
            return Err(Error::new_spanned(
                fn_token,
                format!("{attribute} goes on an `async fn`; `async` is missing here"),
            ));
        }
        if role == Role::Main && ident == "main" && !inputs.is_empty() {
            return Err(Error::new_spanned(inputs, "`main` takes no arguments"));
        }
        if role == Role::Test
            && let Some(second) = self.attributes.iter().find(|attribute| is_test(attribute))
        {
            return Err(Error::new_spanned(
                second,
                format!("a second test attribute would run the test twice; {attribute} is enough"),
            ));
        }
        Ok(())
    }

    fn expand(self, role: Role, options: &Options) -> TokenStream {
        let Self { attributes, visibility, mut signature, body } = self;
        signature.asyncness = None;
        let test = (role == Role::Test).then(|| quote!(#[::core::prelude::v1::test]));
        let runtime = runtime(options);

        let typed = typed(&signature.output, &body);
        let expect = typed.as_ref().map(expect_output);
        let future_type = (role == Role::Test).then_some(typed).flatten().map(|output| {
            // Behind `dyn`, `block_on` is compiled once for all tests that return the same.
            quote!(: ::core::pin::Pin<&mut dyn ::core::future::Future<Output = #output>>)
        });
        let statements = body.stream();
        let block = quote_spanned!(body.span()=> { #expect #statements });

        quote! {
            #(#attributes)*
            #test
            #visibility #signature {
                let body #future_type = ::core::pin::pin!(async move #block);
                #runtime.block_on(body)
            }
        }
    }
}

/// What the function returns, if a variable can have that type.
fn typed(output: &ReturnType, body: &Group) -> Option<TokenStream> {
    match output {
        ReturnType::Default => Some(quote_spanned!(body.span_open()=> ())),
        ReturnType::Type(_, output) if matches!(**output, Type::Never(_)) => None,
        ReturnType::Type(_, output) if names_impl_trait(output.to_token_stream()) => None,
        ReturnType::Type(_, output) => Some(output.to_token_stream()),
    }
}

/// Tells the compiler what an async block returns, which has no syntax of its own. Coercions then
/// work as in a function, and a wrong type is reported where the user wrote it.
fn expect_output(output: &TokenStream) -> TokenStream {
    let span = output.clone().into_iter().next().map_or(Span::call_site(), |type_| type_.span());
    quote_spanned! {span=>
        #[allow(unused, clippy::all, clippy::pedantic)]
        if false {
            let output: #output = ::core::unreachable!();
            return output;
        }
    }
}

fn names_impl_trait(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "impl",
        TokenTree::Group(group) => names_impl_trait(group.stream()),
        _ => false,
    })
}

/// The expression that builds the runtime.
fn runtime(options: &Options) -> TokenStream {
    let Options { jenny, flavor, worker_threads, start_paused, unhandled_panic, name } = options;
    let constructor = match flavor {
        Flavor::MultiThread => quote!(new_multi_thread),
        Flavor::CurrentThread | Flavor::Local => quote!(new_current_thread),
    };
    let build = match flavor {
        Flavor::MultiThread | Flavor::CurrentThread => quote!(build()),
        Flavor::Local => quote!(build_local(::core::default::Default::default())),
    };
    let settings = [
        worker_threads.as_ref().map(|count| quote!(.worker_threads(#count))),
        start_paused.as_ref().map(|paused| quote!(.start_paused(#paused))),
        unhandled_panic
            .as_ref()
            .map(|policy| quote!(.unhandled_panic(#jenny::runtime::UnhandledPanic::#policy))),
        name.as_ref().map(|name| quote!(.name(#name))),
    ];
    let settings = settings.iter().flatten();
    quote! {
        #jenny::runtime::Builder::#constructor()
            #(#settings)*
            .enable_all()
            .#build
            .expect("the runtime could not be built")
    }
}

/// `#[test]` itself, under each of its paths.
fn is_test(attribute: &Attribute) -> bool {
    let path = attribute.path();
    let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    let segments: Vec<_> = segments.iter().map(String::as_str).collect();
    matches!(segments[..], ["test"] | ["core" | "std", "prelude", _, "test"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(role: Role, options: TokenStream, function: TokenStream) -> String {
        attribute(role, options, function).to_string()
    }

    #[track_caller]
    fn has(expansion: &str, part: TokenStream) {
        assert!(expansion.contains(&part.to_string()), "{part}\nis not in\n{expansion}");
    }

    #[test]
    fn main_defaults_to_multi_thread() {
        let out = expand(
            Role::Main,
            quote!(),
            quote!(
                async fn main() {
                    body();
                }
            ),
        );
        has(&out, quote!(let output: () = ::core::unreachable!();));
        has(&out, quote!(::jenny::runtime::Builder::new_multi_thread().enable_all().build()));
        assert!(!out.contains("test"), "{out}");
    }

    #[test]
    fn test_defaults_to_current_thread_and_keeps_attributes() {
        let out = expand(
            Role::Test,
            quote!(),
            quote!(
                #[should_panic]
                async fn fails() -> R {
                    f()
                }
            ),
        );
        has(&out, quote!(#[should_panic] #[::core::prelude::v1::test] fn fails() -> R));
        has(&out, quote!(::core::pin::Pin<&mut dyn ::core::future::Future<Output = R>>));
        has(&out, quote!(::jenny::runtime::Builder::new_current_thread().enable_all().build()));
    }

    #[test]
    fn every_option_reaches_the_builder() {
        let options =
            quote!(flavor = "multi_thread", worker_threads = 3, name = "n", crate = "a::b",);
        let out = expand(
            Role::Test,
            options,
            quote!(
                async fn f() {}
            ),
        );
        has(
            &out,
            quote!(
                a::b::runtime::Builder::new_multi_thread()
                    .worker_threads(3)
                    .name("n")
                    .enable_all()
                    .build()
            ),
        );
        let options =
            quote!(flavor = "local", start_paused = true, unhandled_panic = "shutdown_runtime");
        let out = expand(
            Role::Main,
            options,
            quote!(
                async fn main() {}
            ),
        );
        has(
            &out,
            quote!(
                ::jenny::runtime::Builder::new_current_thread()
                    .start_paused(true)
                    .unhandled_panic(::jenny::runtime::UnhandledPanic::ShutdownRuntime)
                    .enable_all()
                    .build_local(::core::default::Default::default())
            ),
        );
    }

    #[test]
    fn impl_trait_is_left_to_inference() {
        let out = expand(
            Role::Test,
            quote!(),
            quote!(
                async fn f() -> Result<(), impl Debug> {
                    g()
                }
            ),
        );
        has(&out, quote!(let body = ::core::pin::pin!(async move { g() });));
    }
}
