import path from 'node:path'
import ts from 'typescript6'
import { filesBelow, root } from './repository.js'

/** A member of an object of Node, or of another package, that lib writes, replaces or removes. */
export interface ForeignWrite {
  /** Relative to lib. */
  readonly file: string
  readonly member: string
}

/** Declares the types of those members of Node that its documentation does not promise. */
const INTERNALS = `${root}lib/node/internals.ts`

/** Finds every place in lib that writes to an object that lib did not create, by the type of that object. */
export function foreignWrites(): ForeignWrite[] {
  const files = filesBelow('lib')
    .filter((file) => file.endsWith('.ts'))
    .map((file) => root + file)
  const options = ts.parseJsonConfigFileContent(
    ts.readConfigFile(`${root}tsconfig.json`, (file) => ts.sys.readFile(file)).config,
    ts.sys,
    root,
  ).options
  const program = ts.createProgram(files, options)
  const checker = program.getTypeChecker()
  return files.flatMap((file) =>
    membersWritten(program.getSourceFile(file)!, checker).map((member) => ({
      file: path.relative(`${root}lib`, file),
      member,
    })),
  )
}

function membersWritten(source: ts.SourceFile, checker: ts.TypeChecker): string[] {
  const found = new Set<string>()
  const visit = (node: ts.Node): void => {
    for (const member of writtenBy(node, checker)) found.add(member)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return [...found]
}

function writtenBy(node: ts.Node, checker: ts.TypeChecker): string[] {
  if (ts.isBinaryExpression(node) && isAssignment(node)) return targetsOf(node.left, checker)
  if (ts.isDeleteExpression(node)) return targetsOf(node.expression, checker)
  if (ts.isCallExpression(node)) return writtenByCall(node, checker)
  return []
}

function isAssignment({ operatorToken: { kind } }: ts.BinaryExpression): boolean {
  return kind >= ts.SyntaxKind.FirstAssignment && kind <= ts.SyntaxKind.LastAssignment
}

function targetsOf(target: ts.Expression, checker: ts.TypeChecker): string[] {
  if (ts.isArrayLiteralExpression(target))
    return target.elements.flatMap((element) => targetsOf(element, checker))
  if (ts.isPropertyAccessExpression(target)) {
    return isForeign(target.expression, target, checker) ? [target.name.text] : []
  }
  if (ts.isElementAccessExpression(target)) {
    return isForeign(target.expression, target, checker) ? namesOf(target.argumentExpression, checker) : []
  }
  return []
}

/** `Object.assign(object, …)`, `Object.defineProperty(object, name, …)`, `Reflect.deleteProperty(object, name)` */
function writtenByCall(
  { expression, arguments: given }: ts.CallExpression,
  checker: ts.TypeChecker,
): string[] {
  const callee = expression.getText()
  const [object, second] = given
  if (object === undefined || second === undefined) return []
  // A bare `object` is the prototype of any foreign object.
  const isBare = (checker.getTypeAtLocation(object).flags & ts.TypeFlags.NonPrimitive) !== 0
  if (!isBare && !isForeign(object, undefined, checker)) return []
  if (callee === 'Object.assign') return propertiesOf(checker.getTypeAtLocation(second))
  return callee === 'Object.defineProperty' || callee === 'Reflect.deleteProperty'
    ? namesOf(second, checker)
    : []
}

/** The names that an expression may have: those of its type, or that of the symbol. */
function namesOf(expression: ts.Expression, checker: ts.TypeChecker): string[] {
  const type = checker.getTypeAtLocation(expression)
  const literals = (type.isUnion() ? type.types : [type]).filter((one) => one.isStringLiteral())
  return literals.length > 0 ? literals.map(({ value }) => value) : [`[${textOf(expression)}]`]
}

function textOf(expression: ts.Expression): string {
  return expression.getText().replace(/!$/, '')
}

/** TypeScript names a member under a symbol like `__@asyncIterator@123`. */
function propertiesOf(type: ts.Type): string[] {
  return type.getProperties().map(({ name }) => name.replace(/^__@(\w+)@\d+$/, '[$1]'))
}

/** Tells by the type whether Node or another package made an object, unless a class of lib has the member. */
function isForeign(
  object: ts.Expression,
  access: ts.Expression | undefined,
  checker: ts.TypeChecker,
): boolean {
  const member = access === undefined ? undefined : checker.getSymbolAtLocation(nameOf(access))
  if (member?.declarations?.some((one) => ts.isClassElement(one) && isOfLib(one))) return false
  const types = [object, uncast(object)].flatMap((one) => constituentsOf(checker.getTypeAtLocation(one)))
  return types.some((type) => isForeignType(type, checker))
}

/** `object` of `(object as Kind)` */
function uncast(object: ts.Expression): ts.Expression {
  return ts.isParenthesizedExpression(object) || ts.isAsExpression(object)
    ? uncast(object.expression)
    : object
}

function nameOf(access: ts.Expression): ts.Node {
  return ts.isPropertyAccessExpression(access) ? access.name : access
}

function constituentsOf(type: ts.Type): ts.Type[] {
  return type.isUnionOrIntersection() ? type.types.flatMap(constituentsOf) : [type]
}

function isForeignType(type: ts.Type, checker: ts.TypeChecker): boolean {
  const declarations = type.symbol?.declarations ?? []
  // Writing to a Buffer changes data only.
  if (type.symbol?.name === 'Buffer' || declarations.some(isOfLanguage)) return false
  if (declarations.some((one) => isOfNode(one) || one.getSourceFile().fileName === INTERNALS)) return true
  if (!type.isClassOrInterface()) return false
  return checker
    .getBaseTypes(type)
    .some((base) => constituentsOf(base).some((one) => isForeignType(one, checker)))
}

function isOfNode(declaration: ts.Declaration): boolean {
  return declaration.getSourceFile().fileName.includes('/node_modules/')
}

/** Arrays, maps and errors belong to the language; lib created those that it changes. */
function isOfLanguage(declaration: ts.Declaration): boolean {
  return /\/typescript\w*\/lib\//.test(declaration.getSourceFile().fileName)
}

function isOfLib(declaration: ts.Declaration): boolean {
  return declaration.getSourceFile().fileName.startsWith(`${root}lib/`)
}
