// The console in a browser without a screen: `node console.mjs CASE` plays one
// case, as a person would, and prints what that person saw.
import { Browser } from "happy-dom";

const browser = new Browser({
  // Its own scripts run here, as in any browser; they come from the server that is tested.
  settings: { enableJavaScriptEvaluation: true, suppressInsecureJavaScriptEnvironmentWarning: true, disableCSSFileLoading: true, handleDisabledFileLoadingAsSuccess: true },
});
const page = browser.newPage();
const win = () => page.mainFrame.window;

/** until waits for what a person would wait for. */
async function until(what, condition) {
  for (let i = 0; !condition(); i++) {
    if (i === 6000) throw new Error(`never: ${what}; seen: ${seen("body")}`);
    await new Promise((resolve) => { setTimeout(resolve, 10); });
  }
}

const settled = () => until("the page is not busy", () => find("body") && !find("body").hasAttribute("aria-busy"));
const find = (selector) => page.mainFrame.document.querySelector(selector);
const all = (selector) => [...page.mainFrame.document.querySelectorAll(selector)];

/** seen is the text of what a selector finds, in one line. */
const seen = (selector) => (find(selector)?.innerText ?? "").replace(/\s+/g, " ").trim();

async function signIn(secret) {
  await page.goto(process.env.CONSOLE);
  await until("the entrance", () => find("input[name=secret]"));
  find("input[name=secret]").value = secret;
  find("form").requestSubmit();
  await settled();
}

async function go(hash) {
  win().location.hash = hash;
  await until(`the page ${hash}`, () => find("main").dataset.shown === hash);
  await settled();
}

async function press(text, within = "body") {
  const button = () => all(`${within} button`).find((b) => b.textContent === text && !b.hidden);
  await until(`a button ${text}`, button);
  button().click();
  await settled();
}

/** fill fills in the form that was opened last, and sends it. */
async function fill(values, times = 1) {
  await until("a form", () => find("dialog form"));
  const form = all("dialog form").at(-1);
  for (const [name, value] of Object.entries(values)) form.querySelector(`[name="${name}"]`).value = value;
  for (let i = 0; i < times; i++) form.dispatchEvent(new (win().Event)("submit", { cancelable: true })); // as fast as no person can
  await settled();
}

async function tryModel(model, text) {
  const select = find(".playground select");
  select.value = model;
  select.dispatchEvent(new (win().Event)("change"));
  find(".playground textarea").value = text;
  await press("Send");
}

const cases = {
  async strangers() {
    const said = {};
    for (const secret of ["tg-acme-nothing", "nothing"]) {
      await signIn(secret);
      said[secret] = seen("main .problem");
    }
    return { said, links: seen("nav") };
  },

  async operator() {
    await signIn(process.env.SECRET);
    const accounts = seen("main");
    await press("Create account");
    await fill({ id: "shop" });
    await press("Top up");
    await fill({ amount: "ten" });
    const refused = seen("dialog .problem");
    await fill({ amount: "10" }, 2);
    await press("Grant pack");
    await fill({ quantity: "1000", models: "glm-4*, glm-5", expires_at: "2099-12-31" });
    await press("Create key");
    await fill({ name: "till", "limits.rpm": "many" });
    const misspelt = seen("dialog .problem");
    await fill({ "limits.rpm": "60", "limits.models": "glm-*,gpt-*,cogview-*" });
    const secret = seen("dialog .secret");
    await press("Done");
    return { accounts, refused, misspelt, secret, account: seen("main"), dialogs: all("dialog").length };
  },

  async outage() {
    await signIn(process.env.SECRET);
    const accounts = seen("main");
    await go("#/audit");
    return { accounts, audit: seen("main"), links: seen("nav") };
  },

  async corrections() {
    await signIn(process.env.SECRET);
    await go("#/accounts/acme/journal");
    const journal = seen("main");
    await press("Refund");
    await fill({ reason: "it was cut" });
    const refunded = seen("main");
    await go("#/accounts/acme");
    await press("Suspend");
    await fill({ reason: "unpaid" });
    const suspended = seen("main");
    await go("#/audit/acme");
    return { journal, refunded, suspended, audit: seen("main") };
  },

  async holder() {
    await signIn(process.env.SECRET);
    const account = seen("main");
    await go("#/playground");
    find(".playground textarea").value = "user: how much would that be?";
    find(".playground textarea").dispatchEvent(new (win().Event)("input"));
    await until("a quote", () => seen(".quote") !== "");
    const quote = seen(".quote");
    await tryModel("gpt-4o", "Say hello.");
    await tryModel("gpt-4o", "Say it again.");
    const talk = seen(".said");
    await tryModel("cogview-4", "A toll gate at dawn");
    const picture = { shown: find(".said img")?.src, said: seen(".said") };
    await tryModel("text-embedding-3-small", "Prepaid is paid before.");
    const vector = seen(".said");
    await go("#/bills");
    return { account, quote, talk, picture, vector, bill: seen("main") };
  },

  async tried() {
    await signIn(process.env.SECRET);
    await go("#/playground");
    await tryModel(process.env.MODEL, "Say hello.");
    await tryModel(process.env.MODEL, "Say it again.");
    return { said: seen(".said") };
  },

  async stopped() {
    await signIn(process.env.SECRET);
    await go("#/playground");
    const sent = tryModel("gpt-4o", "mock:usage=100,50;chunks=20;delay=50ms tell me a long story");
    await until("the beginning of an answer", () => seen(".answer") !== "");
    all(".playground button").find((b) => b.textContent === "Stop").click();
    await sent;
    const said = seen(".said");
    await tryModel("gpt-4o", "And now a short one.");
    return { said, afterwards: seen(".said") };
  },

  /** What comes from elsewhere is text, whatever it looks like. */
  async markup() {
    await signIn(process.env.SECRET);
    await go("#/accounts/acme");
    return { images: all("main img").length, account: seen("main") };
  },
};

console.log(JSON.stringify(await cases[process.argv[2]]()));
await browser.close();
