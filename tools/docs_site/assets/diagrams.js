// Draws the diagrams of a page; the library is loaded only where there is one.
const diagrams = [...document.querySelectorAll('.diagram')];
if (diagrams.length) {
  const script = document.createElement('script');
  script.src = new URL('mermaid.js', document.currentScript.src).href;
  script.onload = () => {
    const dark = document.documentElement.dataset.bsTheme === 'dark';
    globalThis.mermaid.initialize({ startOnLoad: false, theme: dark ? 'dark' : 'default' });
    globalThis.mermaid.run({ nodes: diagrams });
  };
  document.head.append(script);
}
