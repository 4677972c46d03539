/** The results of the session, as the options of a list. */
import { titleOf, useStore } from '../state.js';

export function ResultOptions() {
  const store = useStore();
  return (
    <>
      {store.results.map((each) => (
        <option key={each.result} value={each.result}>
          {titleOf(each, store)}
        </option>
      ))}
    </>
  );
}
