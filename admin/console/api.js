// The way to the server: the admin API with the operator's token, the routes of
// key holders with their key.

/** A Failure is an answer that is an error, in the server's words, or none at all. */
export class Failure extends Error {
  constructor(message, status = 0, code = "") {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** once is an Idempotency-Key: whatever is sent twice with it is booked once. */
export function once() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

export class API {
  constructor(base, secret) {
    this.base = base;
    this.secret = secret;
  }

  /** send returns the answer, which is no error; what it carries is still to be read. */
  async send(method, path, body, { headers, signal } = {}) {
    let answer;
    try {
      answer = await fetch(this.base + path, {
        method, signal,
        headers: { Authorization: `Bearer ${this.secret}`, ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Failure("Tollgate cannot be reached.");
    }
    if (!answer.ok) throw await failure(answer);
    return answer;
  }

  async get(path) {
    return (await this.send("GET", path)).json();
  }

  async text(path) {
    return (await this.send("GET", path)).text();
  }

  async post(path, body, headers) {
    return (await this.send("POST", path, body, { headers })).json();
  }
}

/** failure is an answer's error, in OpenAI's shape or Anthropic's. */
async function failure(answer) {
  const text = await answer.text();
  try {
    const { error } = JSON.parse(text);
    return new Failure(error.message, answer.status, error.code ?? error.type);
  } catch {
    return new Failure(`${answer.status}: ${text.slice(0, 300)}`, answer.status);
  }
}
