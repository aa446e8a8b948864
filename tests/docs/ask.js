// Type each word into the search and note where its answers lead.
const rest = (time) => new Promise((done) => setTimeout(done, time));
const links = () => [...document.querySelectorAll(".md-search-result__link")].map((link) => link.href.replace(/[?#].*/, ""));
async function ask(words) {
  const answers = {}, input = document.querySelector(".md-search__input");
  input.focus();
  for (const word of words) {
    input.value = word;
    input.dispatchEvent(new KeyboardEvent("keyup", { bubbles: true }));
    await rest(10000);
    answers[word] = [...new Set(links())];
  }
  const output = document.createElement("output");
  output.id = "seen";
  output.textContent = JSON.stringify(answers);
  document.body.append(output);
}
