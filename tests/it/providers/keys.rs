//! Keys that sign the tokens of tests. They are public, and must not be used for anything else.

use std::sync::Arc;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use jsonwebtoken::{Algorithm, Header};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use serde::Serialize;
use serde_json::Value as Json;
use serde_json::json;

/// A named signing key.
#[derive(Clone)]
pub struct Key {
    /// Its `kid`.
    pub id: &'static str,
    /// Its signature algorithm, unless a header names another one.
    pub algorithm: Algorithm,
    pair: Arc<Pair>,
}

enum Pair {
    Rsa(RsaKeyPair),
    Curve(EcdsaKeyPair),
}

impl Key {
    /// Returns an RSA key.
    pub fn one() -> Self {
        Self::rsa("one", ONE)
    }

    /// Returns another RSA key.
    pub fn two() -> Self {
        Self::rsa("two", TWO)
    }

    /// Returns an elliptic curve key.
    pub fn curve() -> Self {
        let der = BASE64.decode(CURVE.as_bytes()).unwrap();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &der, &SystemRandom::new()).unwrap();
        Self { id: "curve", algorithm: Algorithm::ES256, pair: Arc::new(Pair::Curve(pair)) }
    }

    fn rsa(id: &'static str, der: &str) -> Self {
        let pair = RsaKeyPair::from_der(&BASE64.decode(der.as_bytes()).unwrap()).unwrap();
        Self { id, algorithm: Algorithm::RS256, pair: Arc::new(Pair::Rsa(pair)) }
    }

    /// Returns the same key under another name.
    pub fn named(self, id: &'static str) -> Self {
        Self { id, ..self }
    }

    /// Returns the public key as a JSON Web Key.
    pub fn public(&self) -> Json {
        let (mut jwk, parts) = match &*self.pair {
            Pair::Rsa(pair) => {
                let RsaPublicKeyComponents { n, e } =
                    RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                (json!({"kty": "RSA", "alg": "RS256"}), [("n", n), ("e", e)])
            }
            Pair::Curve(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let jwk = json!({"kty": "EC", "crv": "P-256", "alg": "ES256"});
                (jwk, [("x", x.to_vec()), ("y", y.to_vec())])
            }
        };
        for (name, part) in parts {
            jwk[name] = Json::from(BASE64URL_NOPAD.encode(&part));
        }
        jwk["kid"] = Json::from(self.id);
        jwk["use"] = Json::from("sig");
        jwk
    }

    /// Returns a token with these claims.
    pub fn sign(&self, claims: &Json) -> String {
        self.sign_with(&self.header(), claims)
    }

    /// Returns a token with this header.
    pub fn sign_with(&self, header: &Header, claims: &Json) -> String {
        let message = format!("{}.{}", part(header), part(claims));
        let random = SystemRandom::new();
        let signature = match &*self.pair {
            Pair::Curve(pair) => pair.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let encoding: &dyn RsaEncoding = match header.alg {
                    Algorithm::RS384 => &RSA_PKCS1_SHA384,
                    Algorithm::PS256 => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(encoding, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
        };
        format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    /// Returns the header of its tokens.
    pub fn header(&self) -> Header {
        Header { kid: Some(self.id.to_owned()), ..Header::new(self.algorithm) }
    }
}

fn part(json: &impl Serialize) -> String {
    BASE64URL_NOPAD.encode(&serde_json::to_vec(json).unwrap())
}

const ONE: &str = "\
    MIIEowIBAAKCAQEAkth2k8tz3pkhMqSF36ArKW2uYMK2w0GrfgiCbO2k/SM7BsZ4UzCzYPwmFOYW2BEfv1mHZhd7\
    OYaiGtMQ90ckqN2CRFlLzESzyWXOEBIxKnuTxofcpZTjDls74sXK8yIhPV14XMN7XgKEsliOPBNXZcnvIH+TCADt\
    sCzhnZ+K74jeYg+eQ05kmUh5dpD30iantLjZ5w19N7fxKT+P05O9u5Pp4nZ2ckDgtILbjg3Lu1SV4aBYtNVa6J3U\
    HO6vUcMOU0Wd/jLZbErOCFYKoIcIJYJYrRgVLY0AMS85UlQ0zVFcu/Kh1okLjbU3iQbM1qXM1XMsW55yxg2XFqA5\
    frgR6wIDAQABAoIBAAK+qxC+J89MW3N/4cS5ULU4iJ7kZNgnfRYhAJcapg/ZPbw1r4AWk/PHIssXNewZ/dbszHwb\
    CkGcA6Guuk109fl2En5GkQUjb5zfG0fvnx2lK7D1TymFK+1TxT3K5q0+wRJNkfdh7Ado0qQmxZnX3rVXXfHkkJIA\
    unCllh4FImqxw/s7wl1Z+u+/zkzucSMwMJBtnEU1Te0X58t5pvYurMPd1/1PcIbzTVAOYwipRjC6JI/2ycBCzLKe\
    hGfbl4Si0iPYR/s7UmMZM9RaZpbqUff8k0uHexTK9la65awifPp0DGBZ8c20QHVelO9undgYteu1w3OA/rKn09MT\
    MlJSeVECgYEAzkwyWXhWMRYro6NQAIxET+fGWqpsrtfoBTE9M0yxTKc0LykA9VouVa9OjeAmvKu9MaYREO8Q402M\
    /BXEdCGMBKLMXqpHegPf4P6wbUOyJeLYUl9h8RjpAec4Skr0t6A4JPVxLD65YSzRumqFmFSJMiRxzfratwIciTfR\
    v1lPjqkCgYEAtjlx7+yLDb5OxV7n7Rw6lYeHj/47bEebEsJqwosj3QJGQ5LqxppNa5k5glUFmdK1bJHLhqpGq43a\
    7AL8YtjKak7KySWr7CwbvNs0kZf93jnF+BIy+7C9QJmJWCONO1wdA91tJ+0QNM1XMyMyJzGJ5aCP2+s5jkfoLTzX\
    zGAsnHMCgYADi1+aFe01LrJVP2sSd1Z9IPhRengfkOoVnMD2bqzlKkJFRSkVDhWZt0dcPKutti2r+rR0XAcoQJ7Z\
    fe5AKItlUP696aMMv6BLF1Ukq3MWH42j7KucHtdyBuz6qcsGlKQiTm1BW1qIBuMbltTwxxMMX3/tEBBN8KVY3jKm\
    XPx28QKBgQCUExQR+a55SYbq/ZcLZ1/3uD0hdl7FO165HMDyO2y2IC4GpTEgl6yH3egMj5hQihehFMxFLsLkjw4x\
    sK90h2PchRBl6bXN4X3ctmf+U3sZBOtpDSjeu5zeDKW9uI4AiXaOeHVF926u6ZmNVXFgxfGfZhzggUGw65+wevuE\
    +TXnHwKBgGLlDClXZgbdei81twPzCR2G0QJAOd61aQ53ZjzyFubf3nXGu+QJjB0OgBrHg4tnZOjeYqZzgbzOpMMB\
    9r1Nfx7rIXXrp6/YzVRhZclL3nz9cZPau4jG6XAFk3DrlYRkYhAw1J3HcTvikNdiOdfLSQomGxrqJ48zyQGv3gR0\
    oWUj";

const TWO: &str = "\
    MIIEowIBAAKCAQEAvPS8IYUkxyxVtGbcO+q8LrkA5Gph8OtUMmJSQFx/O14sfUH++zdz++Hw+Z3kbWr5dEjOz/N+\
    Dss+dnajaI+iyxH9XaZYOweJos9s3TKKzL3BASVM2E1gT9pB/zF0ulsuIQdZBaa7hsC4N4fH6nVzoGaz2pSZlmWv\
    bdT/t0kaHFjJTQinQj7NDroPofelbpMMYF4aPCktuoNR6NE9rGNw52lRgCcL5bi+vUPl3cnzVKiDMDrpcuy0OICW\
    2SASHC2j1kws34h5bi18PKhVvafR4LJtF6C90NLqokQOt2VRFZhKKgZkjHhlN7nl3ybo8x79a6MqGAUy8YLn/vmN\
    lwGORwIDAQABAoIBAAZOhAnGYBNGkPG9gScXnAJSagvPQfrNj/jcItl2sBRy/Z8mP1sMX19Bck6SjSSnYZewNAVP\
    n9FHyiTs3siUCrkmasN5oUMPHfJRZAiZ/qhiXCySnYowQvR6jDtdRja2HMfWolg3vjvIKoRH9uc5CYvwAZuPdcGs\
    US4Kru8W9IhZOFEaf40FrdICVkZkXce7+rFFIHxF3CfO6IEmd6zACx2im4z7MDop29l6TG4xtDgu2EFBlWv7QMEE\
    CP72kuDRUV12/n8fvRAczX89NFaOE/g0mcCY23C8zAxBaocHyjYSS1J8j2Hx131zbpNjKzoIDCjP5hd0Pen8hMZc\
    oiQgYHECgYEA9b/HX3u+k/tcuLEuzfLDwBm39qA//fl2pyCwB5O+kSJXE2QqqUuI8Ajy5j850dbOl95TjybKswls\
    QjhcMNPyJXIhBROkyzKu7Xvc+/f3koV87BFJcv9irxIwx69h6bmG0sQdvfFZwHMTNjSv076MrpYBulRVNFtZWmvE\
    8OS1OekCgYEAxNZ+OaugWwFSrf+qmnlJXHe7Eencox4/cldV8aEde0Z5Ef0kktlr/Bj4vgXRaScrHOg3svdkOt+j\
    WDuaxdm0vi1C0wDU15wQJY7hEyighuarjKKCiyn7XUMtMNYSqPwug9RPGB3X/3VnpgseRp32rWQT1jiur/u4dLsi\
    84pUOK8CgYBd9FRlTQovyYpJknQyiP4OE8cho2LT1uxmOTkTrIjPNDHWWBV3ZEmWe9Vh8gpJD7csmPOZZ1tX1+Jr\
    7uBQSrfpWRkGt9vpVBdM9G4oZ0Vf32lDV9ic/sbb6Dh+H69vjF7fddtpIz0NNvHBZ6NRcSiYFwHSGyv4OHSQ/WLu\
    NoKTAQKBgBVOen9XmpX/QKnhAOCTvGMr+q3nuKBXh9qipYTwQba0XCqcUjcrHcs+EL7Q9mgBe2M3p7/Rk6Hjz1Sf\
    rxM3i58CWzdn4aItHHpUSvy96xJvKaaheKwDsVfZC607nu13zrkqZB1iLZ1TYhLRJUfTlX4TVSpdHFukTcUk9JWU\
    JaW1AoGBAMMGJ84m/Hroz+pogw0QNnlHfpBnLHtk1djhLuwtpbJBP7em9DOv8Ij6gYDf8TFVd6TthKlJ/JXAfpdb\
    xJ/FzlpHPRvdAIXp8C69yQCHJZQLBtxUW0l+dz/ezbc/3DtG3wILHG4VmRqgKI590uGZh4xcUJxAoJ2rh2t4jJwo\
    hKod";

const CURVE: &str = "\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQguEJhDw5SOb0FzMZuKqYbjoStncnT2okla4DdPsRD\
    AS2hRANCAASfd3DgjiAphNZhTveLX9HEXRI4JWRzUHppxVapYIJQOMwwWRfY7PVF7uBi1rVPXtbedmWD5hIrQJHt\
    BSLiZMm7";
