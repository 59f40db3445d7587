//! Which addresses may be reached for URLs that somebody else named.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Public addresses, and what the operator allows beside them.
#[derive(Clone, Debug, Default)]
pub struct AddressGuard {
    allowed: Vec<IpNet>,
}

impl AddressGuard {
    /// Lets public addresses through, and those in `allowed`.
    #[must_use]
    pub fn allowing(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Whether this address may be connected to.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        is_public(meant(address)) || self.vouches_for(address)
    }

    /// Whether the operator allows this very address.
    #[must_use]
    pub fn vouches_for(&self, address: IpAddr) -> bool {
        let meant = meant(address);
        let allowed = |net: &IpNet| net.contains(&address) || net.contains(&meant);
        self.allowed.iter().any(allowed)
    }
}

/// Whether packets to this address leave for the public internet and nothing else: it is in no range that the IANA
/// special-purpose address registries (RFC 6890 and what updates it) reserve for something else, and is not one where
/// a cloud answers its own machines.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !RESERVED_V4.iter().any(|net| net.contains(&address)),
        // Only this eighth is handed out; loopback, link-local, unique local, site-local and multicast are outside.
        IpAddr::V6(address) => {
            GLOBAL_UNICAST_V6.contains(&address) && !RESERVED_V6.iter().any(|net| net.contains(&address))
        }
    }
}

/// The IPv4 address that an IPv6 address leads to, if it stands for one; otherwise the address itself.
fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let embedded = || {
        let [.., a, b, c, d] = v6.octets();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    if MAPPED_V4.contains(&v6) || TRANSLATED_V4.contains(&v6) {
        embedded()
    } else {
        address
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, c: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

const RESERVED_V4: &[Ipv4Net] = &[
    // "This network" (RFC 791); the system takes 0.0.0.0 for itself.
    v4(0, 0, 0, 0, 8),
    // Private use (RFC 1918).
    v4(10, 0, 0, 0, 8),
    // Shared between carriers and their customers (RFC 6598); the metadata service of one cloud (100.100.100.200).
    v4(100, 64, 0, 0, 10),
    // Loopback (RFC 1122).
    v4(127, 0, 0, 0, 8),
    // Not a special purpose, but a cloud's agent on every one of its machines.
    v4(168, 63, 129, 16, 32),
    // Link-local (RFC 3927); the metadata services of most clouds (169.254.169.254).
    v4(169, 254, 0, 0, 16),
    // Private use (RFC 1918).
    v4(172, 16, 0, 0, 12),
    // Protocol assignments (RFC 6890); the metadata service of one cloud (192.0.0.192).
    v4(192, 0, 0, 0, 24),
    // Documentation (RFC 5737).
    v4(192, 0, 2, 0, 24),
    // Relays from IPv6 (RFC 7526: no longer in use).
    v4(192, 88, 99, 0, 24),
    // Private use (RFC 1918).
    v4(192, 168, 0, 0, 16),
    // Benchmarks (RFC 2544).
    v4(198, 18, 0, 0, 15),
    // Documentation (RFC 5737).
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    // Multicast (RFC 5771).
    v4(224, 0, 0, 0, 4),
    // Reserved (RFC 1112), and the broadcast address (RFC 8190).
    v4(240, 0, 0, 0, 4),
];

/// RFC 4291 and the IANA registry of IPv6 address space.
const GLOBAL_UNICAST_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

const RESERVED_V6: &[Ipv6Net] = &[
    // Protocol assignments (RFC 2928), among them Teredo, benchmarks and ORCHID.
    v6(0x2001, 0, 0, 23),
    // Documentation (RFC 3849, RFC 9637).
    v6(0x2001, 0xdb8, 0, 32),
    v6(0x3fff, 0, 0, 20),
    // 6to4 (RFC 3056; RFC 7526 retires it): leads to whatever IPv4 address is inside.
    v6(0x2002, 0, 0, 16),
];

/// RFC 4291, 2.5.5.2: the system connects to the IPv4 address.
const MAPPED_V4: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);

/// RFC 6052: a translator connects to the IPv4 address. In networks without IPv4 every IPv4 host has such an address.
const TRANSLATED_V4: Ipv6Net = v6(0x64, 0xff9b, 0, 96);

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(text: &str) -> bool {
        AddressGuard::default().permits(text.parse().unwrap())
    }

    /// The first and the last address of every range that must not be reached, and its neighbours, which may: that before
    /// it and that behind it, if they are not reserved as well.
    const RANGES: &str = "
        0.0.0.0 0.255.255.255 - 1.0.0.0
        10.0.0.0 10.255.255.255 9.255.255.255 11.0.0.0
        100.64.0.0 100.127.255.255 100.63.255.255 100.128.0.0
        127.0.0.0 127.255.255.255 126.255.255.255 128.0.0.0
        168.63.129.16 168.63.129.16 168.63.129.15 168.63.129.17
        169.254.0.0 169.254.255.255 169.253.255.255 169.255.0.0
        172.16.0.0 172.31.255.255 172.15.255.255 172.32.0.0
        192.0.0.0 192.0.0.255 191.255.255.255 192.0.1.0
        192.0.2.0 192.0.2.255 192.0.1.255 192.0.3.0
        192.88.99.0 192.88.99.255 192.88.98.255 192.88.100.0
        192.168.0.0 192.168.255.255 192.167.255.255 192.169.0.0
        198.18.0.0 198.19.255.255 198.17.255.255 198.20.0.0
        198.51.100.0 198.51.100.255 198.51.99.255 198.51.101.0
        203.0.113.0 203.0.113.255 203.0.112.255 203.0.114.0
        224.0.0.0 239.255.255.255 223.255.255.255 -
        240.0.0.0 255.255.255.255 - -
        :: 1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff - 2000::
        2001:: 2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff 2000:ffff:: 2001:200::
        2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 2001:db7:: 2001:db9::
        2002:: 2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2001:ffff:: 2003::
        3fff:: 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff 3ffe:ffff:: 3fff:1000::
        4000:: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3fff:ffff:: -
    ";

    #[test]
    fn every_reserved_range_is_refused_from_its_first_address_to_its_last() {
        for range in RANGES.trim().lines() {
            let addresses: Vec<_> = range.split_whitespace().collect();
            let [first, last, before, behind] = addresses[..] else {
                panic!("{range}")
            };
            for refused in [first, last] {
                assert!(!permits(refused), "{refused}");
            }
            for public in [before, behind].into_iter().filter(|address| *address != "-") {
                assert!(permits(public), "{public}");
            }
        }
    }

    #[test]
    fn addresses_of_note_are_refused() {
        for refused in [
            "127.0.0.1",
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "ff02::1",
            "100::1",
            "5f00::1",
            // IPv4-compatible, local translation, 6to4 and Teredo, whatever is inside.
            "::127.0.0.1",
            "::8.8.8.8",
            "64:ff9b:1::8.8.8.8",
            "2002:7f00:1::",
            "2002:808:808::",
            "2001:0:808:808::1",
        ] {
            assert!(!permits(refused), "{refused}");
        }
    }

    #[test]
    fn an_ipv4_address_in_an_ipv6_one_is_judged_by_itself() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
        ] {
            assert!(!permits(&format!("::ffff:{inside}")), "{inside}");
            assert!(!permits(&format!("64:ff9b::{inside}")), "{inside}");
        }
        for public in ["::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "8.8.8.8", "2606:4700::1111"] {
            assert!(permits(public), "{public}");
        }
    }

    #[test]
    fn what_the_operator_allows_is_let_through_and_nothing_beside_it() {
        let guard = AddressGuard::allowing(vec![
            "10.1.0.0/16".parse().unwrap(),
            "fd00:1::/32".parse().unwrap(),
        ]);
        for (address, permitted) in [
            ("10.1.2.3", true),
            ("10.2.0.0", false),
            ("::ffff:10.1.2.3", true),
            ("64:ff9b::10.1.2.3", true),
            ("::10.1.2.3", false),
            ("fd00:1::1", true),
            ("fd00:2::1", false),
            ("127.0.0.1", false),
            ("8.8.8.8", true),
        ] {
            assert_eq!(guard.permits(address.parse().unwrap()), permitted, "{address}");
        }
    }
}
