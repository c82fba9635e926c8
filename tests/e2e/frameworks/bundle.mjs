// Bundles one page as its makers would: node bundle.mjs FOLDER ENTRY OUTPUT

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const packages = new URL('../../../tools/local_stack/', import.meta.url);
const require = createRequire(new URL('package.json', packages));
const { build } = require('esbuild');
const { compileScript, parse } = require('vue/compiler-sfc');

const isCustomElement = (tag) => tag === 'job-bell';
const vue = {
  name: 'vue',
  setup(plugins) {
    plugins.onLoad({ filter: /\.vue$/ }, async ({ path }) => {
      const { descriptor, errors } = parse(await readFile(path, 'utf8'), { filename: path });
      if (errors.length > 0) throw errors[0];
      const templateOptions = { compilerOptions: { isCustomElement } };
      return { contents: compileScript(descriptor, { id: 'bell', inlineTemplate: true, templateOptions }).content };
    });
  },
};

const [folder, entryPoint, outfile] = process.argv.slice(2);
await build({
  absWorkingDir: folder,
  entryPoints: [entryPoint],
  outfile,
  bundle: true,
  format: 'esm',
  jsx: 'automatic',
  nodePaths: [fileURLToPath(new URL('node_modules', packages))],
  plugins: [vue],
  define: {
    'process.env.NODE_ENV': '"production"',
    __VUE_OPTIONS_API__: 'false',
    __VUE_PROD_DEVTOOLS__: 'false',
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false',
  },
  logLevel: 'warning',
});
