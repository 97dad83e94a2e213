//! The types of single values, each with one door: text in, a value or a fault out.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::problem::Fault;

/// Bytes of a unix socket's path: `sun_path` holds 108 with the final NUL (unix(7)).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The shortest age that makes sense as a limit: a look at the database happens every second, so
/// anything near that would turn a hiccup into an outage.
pub(super) const STALENESS_MIN: Duration = Duration::from_secs(5);

/// The longest duration that is taken as one; beyond a year, `unlimited` is what is meant.
pub(super) const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Bytes of a header's name; as long as any in use, and far below what proxies refuse.
pub(super) const HEADER_NAME_BYTES_MAX: usize = 64;

/// Bytes of a group's name, as in the database.
pub(super) const GROUP_NAME_BYTES_MAX: usize = 256;

/// Where a listener listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// At a TCP address.
    Tcp(SocketAddr),
    /// At a unix socket.
    Unix(PathBuf),
}

impl Listen {
    /// Reads `ADDRESS:PORT`, `unix:/PATH` or `off`. Names are not looked up, `localhost` excepted:
    /// what a name means could change between the check of the address and the bind.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        const FORMS: &str = "write ADDRESS:PORT, [ADDRESS]:PORT, localhost:PORT, unix:/PATH or off";
        if text == "off" {
            return Ok(Self::Off);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return socket_path(path).map(Self::Unix);
        }
        if let Some(port) = text.strip_prefix("localhost:") {
            let port =
                port.parse().map_err(|_| Fault::new(format!("{port:?} is no port"), FORMS))?;
            return Ok(Self::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)));
        }
        text.parse()
            .map(Self::Tcp)
            .map_err(|_| Fault::new(format!("{text:?} is no address"), FORMS))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

fn socket_path(text: &str) -> Result<PathBuf, Fault> {
    if !text.starts_with('/') {
        return Err(Fault::new(
            format!("the socket's path {text:?} does not start with /"),
            "write the whole path, unix:/run/certgate/auth.sock",
        ));
    }
    if text.ends_with('/') {
        return Err(Fault::new(format!("{text:?} is a folder"), "name the socket in it"));
    }
    if text.chars().any(char::is_control) {
        return Err(Fault::new(format!("{text:?} holds a control character"), ""));
    }
    if text.len() > SOCKET_PATH_BYTES_MAX {
        return Err(Fault::new(
            format!(
                "the socket's path has {} bytes, the system's limit is {SOCKET_PATH_BYTES_MAX}",
                text.len()
            ),
            "choose a shorter one",
        ));
    }
    Ok(PathBuf::from(text))
}

/// The mode of a unix socket: who may connect. Write permission is what `connect` needs (unix(7)).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SocketMode(u32);

impl SocketMode {
    /// Reads octal digits, as `0660`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let fault = || {
            Fault::new(
                format!("{text:?} is no mode of a socket"),
                "write octal digits up to 0777, as \"0660\"",
            )
        };
        let digits = (3..=4).contains(&text.len());
        if !digits {
            return Err(fault());
        }
        if !text.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
            return Err(fault());
        }
        match u32::from_str_radix(text, 8) {
            Ok(mode) if mode <= 0o777 => Ok(Self(mode)),
            _ => Err(fault()),
        }
    }

    /// The permission bits.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for SocketMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// How old the directory may be before `/auth` stops deciding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MaxStaleness {
    /// Up to this age, then 503.
    Limited(Duration),
    /// Answers go on for ever; a revocation then waits for the database.
    Unlimited,
}

impl MaxStaleness {
    /// Reads a duration or `unlimited`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        let limit = duration(text)?;
        if limit < STALENESS_MIN {
            return Err(Fault::new(
                format!("{text:?} is shorter than {}", humantime::format_duration(STALENESS_MIN)),
                "a look at the database happens every second: leave it room",
            ));
        }
        Ok(Self::Limited(limit))
    }
}

/// Reads a duration as `24h`, `90s` or `1h 30m`, at most [`DURATION_MAX`].
pub(super) fn duration(text: &str) -> Result<Duration, Fault> {
    let value = humantime::parse_duration(text).map_err(|error| {
        Fault::new(format!("{text:?} is no duration: {error}"), "write 90s, 15m, 24h or 7days")
    })?;
    if value > DURATION_MAX {
        return Err(Fault::new(format!("{text:?} is longer than a year"), "write a shorter one"));
    }
    Ok(value)
}

/// Reads `true` or `false`.
pub(super) fn boolean(text: &str) -> Result<bool, Fault> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Fault::new(format!("{text:?} is neither true nor false"), "")),
    }
}

/// Reads the path of a file or folder.
pub(super) fn path(text: &str) -> Result<PathBuf, Fault> {
    if text.chars().any(char::is_control) {
        return Err(Fault::new(format!("{text:?} holds a control character"), ""));
    }
    Ok(PathBuf::from(text))
}

/// Reads a network as CIDR; a bare address is that one address.
///
/// Refused, as each would let in more than it seems to say: host bits behind the prefix, a network
/// of everything, IPv4 written inside IPv6.
pub(super) fn network(text: &str) -> Result<IpNet, Fault> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network: IpNet = text.parse().map_err(|_| {
        Fault::new(format!("{text:?} is no network"), "write an address or CIDR, as 10.0.0.0/8")
    })?;
    if network.prefix_len() == 0 {
        return Err(Fault::new(
            format!("{text} is everybody"),
            "name the proxy's own addresses, or use proxy.secret_file",
        ));
    }
    if network.trunc() != network {
        return Err(Fault::new(
            format!("{text} has bits set behind its prefix"),
            format!("write {} or {}", network.trunc(), network.addr()),
        ));
    }
    if network.addr().to_canonical() != network.addr() {
        return Err(Fault::new(format!("{text} is IPv4 written as IPv6"), "write it as IPv4"));
    }
    Ok(network)
}

/// A header's name, in lower case.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HeaderName(String);

impl HeaderName {
    /// Reads a token of RFC 9110, 5.6.2, without `_`: nginx drops such a header, and a CGI-like
    /// application cannot tell it from the one with `-`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(Fault::new("a header's name is empty", ""));
        }
        if text.len() > HEADER_NAME_BYTES_MAX {
            return Err(Fault::new(
                format!("a header's name has more than {HEADER_NAME_BYTES_MAX} bytes"),
                "",
            ));
        }
        let name = text.to_ascii_lowercase();
        if name.contains('_') {
            return Err(Fault::new(
                format!("{text:?} holds _, which nginx drops and CGI takes for -"),
                format!("write {:?}", text.replace('_', "-")),
            ));
        }
        if !name.bytes().all(is_token) {
            return Err(Fault::new(
                format!("{text:?} is no header name"),
                "write letters, digits and -",
            ));
        }
        if RESERVED_HEADERS.contains(&name.as_str()) {
            return Err(Fault::new(
                format!("{text:?} has a meaning of its own in HTTP or to certgate"),
                "choose another name",
            ));
        }
        Ok(Self(name))
    }

    /// A name of our own tables, which is valid and in lower case; tests parse every one.
    pub(super) fn known(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    /// The name in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^`|~".contains(&byte)
}

/// Names that no key may take: HTTP's own framing and state, and what certgate itself sends or
/// reads.
const RESERVED_HEADERS: &[&str] = &[
    "accept",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "host",
    "keep-alive",
    "location",
    "proxy-authorization",
    "server",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
    "x-accel-expires",
    "x-auth-reason",
    "x-certgate-secret",
    "x-original-host",
    "x-real-ip",
    "x-request-id",
];

/// Reads the name of a group of users: visible ASCII without comma, as in the database.
pub(super) fn group_name(text: &str) -> Result<String, Fault> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    if text.len() > GROUP_NAME_BYTES_MAX || !visible {
        return Err(Fault::new(
            format!("{text:?} is no group's name"),
            format!("write visible ASCII without comma, at most {GROUP_NAME_BYTES_MAX} bytes"),
        ));
    }
    Ok(text.to_owned())
}

/// Reads the name of a group of the operating system.
pub(super) fn system_group(text: &str) -> Result<String, Fault> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if !plain {
        return Err(Fault::new(format!("{text:?} is no system group"), "write its name or number"));
    }
    Ok(text.to_owned())
}

/// Reads a web origin (RFC 6454, 6.2): scheme, host and port, nothing behind them.
pub(super) fn origin(text: &str) -> Result<String, Fault> {
    let fault = || {
        Fault::new(
            format!("{text:?} is no origin"),
            "write scheme and host only, as https://certgate.example.com",
        )
    };
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(host) = host else { return Err(fault()) };
    let plain = host
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte));
    if host.is_empty() || !plain {
        return Err(fault());
    }
    Ok(text.to_owned())
}
