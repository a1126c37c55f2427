//! From what users write to socket addresses.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
};

use crate::context;

/// What can be turned into socket addresses without blocking the thread.
///
/// The types that [`std::net::ToSocketAddrs`] takes. An address is used as it is; a host name is
/// looked up on the blocking pool. Not for others to implement.
pub trait ToSocketAddrs: sealed::Target {}

impl<T: sealed::Target + ?Sized> ToSocketAddrs for T {}

mod sealed {
    use std::{io, net::SocketAddr};

    pub trait Target {
        fn addresses(&self) -> io::Result<Addresses>;
    }

    /// What is known without asking anybody.
    #[derive(Debug)]
    pub enum Addresses {
        One(SocketAddr),
        Many(Vec<SocketAddr>),
        /// A host name and a port.
        Unresolved(String),
    }
}

use sealed::{Addresses, Target};

/// Looks a host name up, on the blocking pool unless it is an address.
///
/// ```
/// # async fn example() -> std::io::Result<()> {
/// for address in jenny::net::lookup_host("localhost:80").await? {
///     println!("{address}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The name does not exist, has no port, or cannot be looked up.
pub async fn lookup_host<T: ToSocketAddrs>(
    host: T,
) -> io::Result<impl Iterator<Item = SocketAddr>> {
    resolve(host).await
}

/// The addresses of a target, in the order in which they should be tried.
pub(super) async fn resolve(
    target: impl ToSocketAddrs,
) -> io::Result<impl Iterator<Item = SocketAddr>> {
    let (first, others) = match target.addresses()? {
        Addresses::One(address) => (Some(address), Vec::new()),
        Addresses::Many(addresses) => (None, addresses),
        Addresses::Unresolved(host) => (None, ask_the_system(host).await?),
    };
    Ok(first.into_iter().chain(others))
}

/// What to return if there was no address to try.
pub(super) fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the host has no address")
}

macro_rules! known {
    ($($address:ty),*) => {$(
        impl Target for $address {
            fn addresses(&self) -> io::Result<Addresses> {
                Ok(Addresses::One((*self).into()))
            }
        }
    )*};
}

known!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

impl Target for [SocketAddr] {
    fn addresses(&self) -> io::Result<Addresses> {
        Ok(Addresses::Many(self.to_vec()))
    }
}

impl Target for str {
    fn addresses(&self) -> io::Result<Addresses> {
        Ok(match self.parse() {
            Ok(address) => Addresses::One(address),
            Err(_) => Addresses::Unresolved(self.to_owned()),
        })
    }
}

impl Target for String {
    fn addresses(&self) -> io::Result<Addresses> {
        self.as_str().addresses()
    }
}

impl Target for (&str, u16) {
    fn addresses(&self) -> io::Result<Addresses> {
        let (host, port) = *self;
        Ok(match host.parse::<IpAddr>() {
            Ok(address) => Addresses::One((address, port).into()),
            Err(_) => Addresses::Unresolved(format!("{host}:{port}")),
        })
    }
}

impl Target for (String, u16) {
    fn addresses(&self) -> io::Result<Addresses> {
        (self.0.as_str(), self.1).addresses()
    }
}

impl<T: Target + ?Sized> Target for &T {
    fn addresses(&self) -> io::Result<Addresses> {
        (**self).addresses()
    }
}

/// Looks up a `host:port` on the blocking pool: the system's resolver blocks.
async fn ask_the_system(host: String) -> io::Result<Vec<SocketAddr>> {
    use std::net::ToSocketAddrs as _;

    let lookup = context::current().spawn_blocking(move || Ok(host.to_socket_addrs()?.collect()));
    lookup.await.map_err(io::Error::from)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_no_lookup() {
        let v4: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let v6: SocketAddr = "[::1]:80".parse().unwrap();
        let known: [&dyn Target; 6] = [
            &v4,
            &"127.0.0.1:80",
            &String::from("127.0.0.1:80"),
            &("127.0.0.1", 80),
            &(String::from("127.0.0.1"), 80),
            &(Ipv4Addr::LOCALHOST, 80),
        ];
        for target in known {
            assert!(matches!(target.addresses().unwrap(), Addresses::One(found) if found == v4));
        }
        for target in [&"[::1]:80" as &dyn Target, &("::1", 80), &(Ipv6Addr::LOCALHOST, 80)] {
            assert!(matches!(target.addresses().unwrap(), Addresses::One(found) if found == v6));
        }
        let many: &[SocketAddr] = &[v4, v6];
        assert!(matches!(many.addresses().unwrap(), Addresses::Many(found) if found == many));
    }

    #[test]
    fn names_are_looked_up() {
        for target in [&"localhost:80" as &dyn Target, &("localhost", 80)] {
            let found = target.addresses().unwrap();
            assert!(matches!(found, Addresses::Unresolved(host) if host == "localhost:80"));
        }
    }
}
