// Forms that a passkey answers: <form data-passkey="get|create" data-options="…"> with a field `credential`.
// The options are WebAuthn's JSON forms, as the server wrote them; the answer goes back in the same way. Nothing
// is decided or computed here: what is signed is what the server shows, and what the signer checks.
(() => {
  "use strict";
  const bytes = text => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), c => c.charCodeAt(0));
  const text = buffer => btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = list => (list || []).map(each => ({ ...each, id: bytes(each.id) }));

  const read = {
    get: o => ({ ...o, challenge: bytes(o.challenge), allowCredentials: named(o.allowCredentials) }),
    create: o => ({
      ...o, challenge: bytes(o.challenge), user: { ...o.user, id: bytes(o.user.id) },
      excludeCredentials: named(o.excludeCredentials),
    }),
  };

  const written = found => {
    const response = { clientDataJSON: text(found.response.clientDataJSON) };
    for (const name of ["authenticatorData", "signature", "userHandle", "attestationObject"])
      if (found.response[name]) response[name] = text(found.response[name]);
    if (found.response.getTransports) response.transports = found.response.getTransports();
    return JSON.stringify({
      id: found.id, rawId: text(found.rawId), type: found.type, response,
      clientExtensionResults: found.getClientExtensionResults(),
      authenticatorAttachment: found.authenticatorAttachment || undefined,
    });
  };

  const say = (form, word) => {
    for (const each of form.querySelectorAll("[data-passkey-says]")) each.hidden = each.dataset.passkeySays !== word;
  };

  const ask = async form => {
    const button = form.querySelector("[data-passkey-button]");
    button.disabled = true;
    say(form, "waiting");
    try {
      const kind = form.dataset.passkey;
      const publicKey = read[kind](JSON.parse(form.dataset.options));
      form.elements.credential.value = written(await navigator.credentials[kind]({ publicKey }));
      say(form, "");
      form.submit();
    } catch {
      say(form, "failed");
      button.disabled = false;
      button.focus();
    }
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!window.PublicKeyCredential) {
      say(form, "unsupported");
      continue;
    }
    say(form, "");
    form.querySelector("[data-passkey-button]").disabled = false;
    form.addEventListener("submit", event => {
      event.preventDefault();
      ask(form);
    });
  }
})();
