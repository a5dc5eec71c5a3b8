//! Keys, tokens and kubeconfigs, made anew for every control plane.

use std::{fs, net::SocketAddr, path::Path};

use anyhow::{Context, Result, anyhow};
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};

/// Where the API server puts the serving certificate that it makes for itself.
pub(super) const CERTIFICATES: &str = "certificates";
/// Static tokens of the API server.
pub(super) const TOKENS: &str = "tokens.csv";
/// The administrator's token.
pub(super) const ADMIN_TOKEN: &str = "admin.token";
/// Signs ServiceAccount tokens.
pub(super) const SIGNING_KEY: &str = "service-accounts.key";

/// Proves them.
pub(super) const VERIFYING_KEY: &str = "service-accounts.pub";

/// What stands before the point of a public P-256 key (RFC 5480, section 2: SubjectPublicKeyInfo
/// of id-ecPublicKey on secp256r1).
const PUBLIC_P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Writes what the API server needs to start.
pub(super) fn write(folder: &Path) -> Result<()> {
    let random = SystemRandom::new();
    write_keys(folder, &random)?;
    let token = random_token(&random)?;
    fs::write(folder.join(ADMIN_TOKEN), &token)?;
    fs::write(
        folder.join(TOKENS),
        format!("{token},admin,admin,system:masters\n"),
    )?;
    Ok(())
}

fn write_keys(folder: &Path, random: &SystemRandom) -> Result<()> {
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let private = EcdsaKeyPair::generate_pkcs8(algorithm, random)
        .map_err(|error| anyhow!("cannot make a key: {error}"))?;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, private.as_ref(), random)
        .map_err(|error| anyhow!("cannot read a key: {error}"))?;
    let public = [&PUBLIC_P256, pair.public_key().as_ref()].concat();
    fs::write(
        folder.join(SIGNING_KEY),
        pem("PRIVATE KEY", private.as_ref()),
    )?;
    fs::write(folder.join(VERIFYING_KEY), pem("PUBLIC KEY", &public))?;
    Ok(())
}

fn random_token(random: &SystemRandom) -> Result<String> {
    let bytes: [u8; 18] = ring::rand::generate(random)
        .map_err(|error| anyhow!("cannot make a token: {error}"))?
        .expose();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The certificate of the authority: the server appends it to the certificate that it issued
/// to itself.
pub(super) fn authority(folder: &Path) -> Result<String> {
    let file = folder.join(CERTIFICATES).join("apiserver.crt");
    let text = fs::read_to_string(&file)
        .with_context(|| format!("{}: the API server has not run yet", file.display()))?;
    let begin = text
        .rfind("-----BEGIN")
        .context("the API server wrote no certificate")?;
    Ok(text[begin..].to_owned())
}

/// A kubeconfig as JSON, which is YAML, too.
pub(super) fn kubeconfig(address: SocketAddr, authority: &str, token: &Path) -> String {
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {
            "server": format!("https://{address}"),
            "certificate-authority-data": STANDARD.encode(authority),
        }}],
        "users": [{"name": "test", "user": {"tokenFile": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    })
    .to_string()
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}
